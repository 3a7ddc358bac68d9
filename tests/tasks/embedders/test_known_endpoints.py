"""A results folder recognises the models behind endpoints."""

import json
import re

import numpy as np
import pytest

from genzoo.errors import ZooError
from genzoo.tasks.embedders.endpoint_fingerprint import PROBES, EndpointFingerprint
from genzoo.tasks.embedders.known_endpoints import FILE, recognise, remember

ADDRESS = "http://127.0.0.1:8000/v1#m"


def model(seed, noise=0.0):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((len(PROBES), 64))
    return EndpointFingerprint.of(rows, rows + noise * rng.standard_normal(rows.shape) / 8)


def test_a_model_is_known_by_what_it_was_called_first(tmp_path):
    first = model(0)
    remember(tmp_path, {ADDRESS: ("as-first-called", first)})
    assert recognise(tmp_path, ADDRESS, model(0, noise=1e-4)).id == "as-first-called"
    assert recognise(tmp_path, ADDRESS, first).note == ""


def test_a_new_endpoint_is_no_news(tmp_path):
    assert recognise(tmp_path, ADDRESS, model(0)) == recognise(None, ADDRESS, model(0))
    assert recognise(tmp_path, ADDRESS, model(0)).note == ""
    remember(tmp_path, {ADDRESS: (model(0).id, model(0))})
    assert recognise(tmp_path, ADDRESS + "2", model(1)).note == ""


def test_a_changed_model_is_said_with_what_tells_it(tmp_path):
    remember(tmp_path, {ADDRESS: (model(0).id, model(0))})
    found = recognise(tmp_path, ADDRESS, model(1))
    assert found.id == model(1).id != model(0).id
    assert f"the model behind {ADDRESS} has changed since 20" in found.note
    assert re.search(r"cosine -?0\.\d{3}\)", found.note)
    assert model(1).id[:7] in found.note and model(0).id[:7] in found.note


def test_a_changed_width_is_said(tmp_path):
    remember(tmp_path, {ADDRESS: (model(0).id, model(0))})
    rows = np.ones((len(PROBES), 8))
    assert "64 numbers then, 8 now" in recognise(tmp_path, ADDRESS, EndpointFingerprint.of(rows, rows)).note


def test_a_model_that_comes_back_gets_its_own_results(tmp_path):
    for seed in (0, 1):
        remember(tmp_path, {ADDRESS: (model(seed).id, model(seed))})
    found = recognise(tmp_path, ADDRESS, model(0))
    assert found.id == model(0).id and "again" in found.note


def test_nothing_is_written_twice(tmp_path):
    remember(tmp_path, {ADDRESS: (model(0).id, model(0))})
    before = (tmp_path / FILE).stat().st_mtime_ns
    remember(tmp_path, {ADDRESS: (model(0).id, model(0))})
    assert (tmp_path / FILE).stat().st_mtime_ns == before
    assert len(json.loads((tmp_path / FILE).read_text())[ADDRESS]) == 1


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(ZooError, match=r"endpoints\.json"):
        recognise(tmp_path, ADDRESS, model(0))
    (tmp_path / FILE).write_text(json.dumps({ADDRESS: [{"id": "x"}]}))
    with pytest.raises(ZooError, match=r"endpoints\.json"):
        recognise(tmp_path, ADDRESS, model(0))
