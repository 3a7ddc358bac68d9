"""A model under other prompts is another model; tasks without a prompt of their own can be refused."""

import json

import pytest

from genzoo.errors import InputError
from genzoo.models.prompts import prompt_set
from genzoo.tasks import evaluate, resolve_tasks
from genzoo.tasks.embedders.other_prompts import check_strict, with_prompts


def prompted(make_meta, prompts, label="mine"):
    """The tiny model, whose wrapper mteb would ask for prompts."""
    return with_prompts(make_meta(), prompts, label)


def test_other_prompts_are_another_model(make_meta, tmp_path):
    prompts = {"STS": "meaning ", "query": "answer ", "document": "restate "}
    meta = prompted(make_meta, prompts)
    assert meta.name == "test-org/tiny-mine-prompts"
    assert meta.revision != make_meta().revision
    assert prompted(make_meta, prompts).revision == meta.revision
    assert prompted(make_meta, prompts | {"STS": "sense "}).revision != meta.revision
    tasks, _ = resolve_tasks(None, ["GenZooMiniRetrieval"])
    plain, other = (r.task_results[0].scores for r in evaluate([make_meta(), meta], tasks, tmp_path))
    assert plain["test"][0]["main_score"] != other["test"][0]["main_score"]
    record = next((tmp_path / "environment" / "test-org__tiny-mine-prompts").glob("*.json"))
    assert json.loads(record.read_text())["prompts"] == prompts


def test_strict_mode_names_what_would_fall_back():
    check_strict(prompt_set("tasks"), ["SciFact", "STSBenchmark"])
    with pytest.raises(InputError, match="no prompt of their own for NFCorpus"):
        check_strict(prompt_set("tasks"), ["SciFact", "NFCorpus"])
    with pytest.raises(InputError, match="SciFact, STSBenchmark"):
        check_strict(prompt_set("general"), ["SciFact", "STSBenchmark"])
