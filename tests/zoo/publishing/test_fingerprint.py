"""A fingerprint comes back as it was written; anything else in its place is named."""

import json
from pathlib import Path

import pytest
import torch
from conftest_builders import build_checkpoint

import genzoo.checkpoints
from genzoo.errors import CheckpointError
from genzoo.models.assembly import assemble
from genzoo.publishing.fingerprint import (
    FILE,
    N_VALUES,
    PROBES,
    TOLERANCES,
    UNIT_SHARE,
    Fingerprint,
    Probe,
    digest_parts,
    measure_probes,
)

RECORDED = sorted(
    Path(folder) for root in genzoo.checkpoints.__path__ for folder in Path(root).glob("*") if (folder / FILE).is_file()
)


@pytest.fixture
def made():
    backbone = {"name": "tiny", "revision": "", "digest": "d" * 16, "numbers": "e" * 40}
    probes = tuple(Probe(place + 3, "c" * 16, (0.25,) * 16, 1.5) for place in range(len(PROBES)))
    return Fingerprint("a" * 16, {"rows": "b" * 16}, backbone, {"query": "Q: "}, "bfloat16", probes, {"torch": "2.9"})


def test_it_is_read_back_as_it_was_written(made, tmp_path):
    assert made.save(tmp_path) == tmp_path / FILE
    assert Fingerprint.load(tmp_path) == made
    assert made.tolerance > Fingerprint.load(RECORDED[0]).tolerance


def test_the_fingerprints_of_the_zoo_are_read():
    assert RECORDED
    assert all(len(Fingerprint.load(folder).probes) == len(PROBES) for folder in RECORDED)


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"format": 1}', '{"format": 1, "probes": []}'])
def test_another_file_in_its_place_is_named(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(CheckpointError, match="fingerprint"):
        Fingerprint.load(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c["probes"][0].update(values=[1.0]),
        lambda c: c["probes"][0].update(n_ids="many"),
        lambda c: c.update(backbone={}),
        lambda c: c.update(dtype=["float32"]),
        lambda c: c.update(dtype="int4"),
        lambda c: c.update(prompts=[]),
        lambda c: c.update(more=1),
    ],
)
def test_one_that_was_tampered_with_is_refused(made, tmp_path, spoil):
    content = json.loads(made.save(tmp_path).read_text())
    spoil(content)
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="is not a fingerprint"):
        Fingerprint.load(tmp_path)


def test_one_of_fewer_texts_is_refused(made, tmp_path):
    content = json.loads(made.save(tmp_path).read_text())
    del content["probes"][1:]
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"holds 1 probes, expected {len(PROBES)}"):
        Fingerprint.load(tmp_path)


def test_digests_ignore_nothing():
    assert digest_parts({"a": torch.zeros(2)}) != digest_parts({"a": torch.tensor([0.0, 1e-7])})


def test_a_late_number_shows_though_every_embedding_has_length_1(llama):
    model = assemble(build_checkpoint(llama, dim=64), llama, device="cpu")
    before = measure_probes(model)
    assert all(probe.norm == pytest.approx(1, abs=1e-5) and probe.diagonal is not None for probe in before)
    with torch.no_grad():
        model[2].convs[0].bias[N_VALUES + 30] += 0.01
    gaps = [now.gap(then) for now, then in zip(measure_probes(model), before, strict=True)]
    assert min(gaps) > TOLERANCES["float32"] * UNIT_SHARE
