"""The reference's published models: listed apart, with what their authors report, and the way to convert them."""

import json
import sys

import pytest

from genzoo.cli import main
from genzoo.errors import UnknownNameError
from genzoo.models.entries import ENTRIES, UPSTREAM, get_entry


def test_rows_are_whole_and_apart_from_ours():
    assert len(UPSTREAM) >= 5
    for model in UPSTREAM:
        assert model.status == "convertible"
        assert model.hub_id.startswith("McGill-NLP/LLM2Vec-Gen-")
        assert model.name not in ENTRIES
        for score, higher_is_better in model.reported.values():
            assert 0 < score < 100
            assert isinstance(higher_is_better, bool)


def test_naming_one_says_how_to_convert_it():
    for name in ("upstream-qwen3-8b", "McGill-NLP/LLM2Vec-Gen-Qwen3-8B"):
        with pytest.raises(
            UnknownNameError, match=r"genzoo convert McGill-NLP/LLM2Vec-Gen-Qwen3-8B@<commit> DIR --backbone"
        ):
            get_entry(name)


def test_list(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["genzoo", "list", "--upstream", "--json"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    rows = json.loads(capsys.readouterr().out)
    assert {row["status"] for row in rows} == {"convertible"}
    assert any("61.9" in row["reported by its authors"] for row in rows)
