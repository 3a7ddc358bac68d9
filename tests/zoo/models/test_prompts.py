"""Every task that the zoo is measured on has a generative instruction of its own."""

import json

import mteb
import pytest

from genzoo.errors import InputError
from genzoo.models.prompts import SEARCH, SYMMETRIC, has_own, prompt_set, task_prompts
from genzoo.tasks.embedders.other_prompts import check_keys
from genzoo.tasks.sets.benchmarks import TASKS, own_benchmarks

SEARCHES = {"Retrieval", "Reranking", "InstructionReranking"}
BOARDS = [mteb.get_benchmark(name) for name in ("MTEB(eng, v2)", "RAR-b")] + list(own_benchmarks())
MEASURED = {task.metadata.name: task.metadata for board in BOARDS for task in board.tasks} | {
    task.metadata.name: task.metadata for task in TASKS
}


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_every_task_has_its_own(name):
    assert has_own(prompt_set("tasks"), name)
    assert (name in SEARCH) == (MEASURED[name].type in SEARCHES)


def test_all_keys_are_known_and_every_prompt_ends_with_one_space():
    check_keys(prompt_set("tasks"))
    assert not set(SEARCH) & set(SYMMETRIC)
    for prompt in task_prompts().values():
        assert prompt.endswith(": ")
        assert len(prompt.split()) <= 16


def test_mteb_looks_up_the_instruction_for_queries_alone():
    from mteb.models.abs_encoder import get_prompt_name
    from mteb.types import PromptType

    prompts = prompt_set("tasks")
    scidocs = mteb.get_task("SCIDOCS").metadata
    assert get_prompt_name(prompts, scidocs, PromptType.query) == "SCIDOCS-query"
    assert get_prompt_name(prompts, scidocs, PromptType.document) == "document"
    assert get_prompt_name(prompts, mteb.get_task("STSBenchmark").metadata, None) == "STSBenchmark"


def test_a_file_of_prompts(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"query": "Answer:", "SciFact-query": "Facts: ", "STS": ""}))
    found = prompt_set(str(path))
    assert found == {"query": "Answer: ", "SciFact-query": "Facts: ", "STS": ""}
    check_keys(found)
    with pytest.raises(InputError, match="no task and no task type"):
        check_keys({"SciFakt-query": "x "})


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not JSON"), ("[]", "expected an object of prompts"), ('{"a": 1}', "must hold a JSON object")],
)
def test_a_wrong_file_is_one_clear_error(content, message, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        prompt_set(str(path))
    with pytest.raises(InputError, match="there are general, tasks"):
        prompt_set("nothing")
