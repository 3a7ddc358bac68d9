"""Which tasks can be pointed at a folder or at commits, and what they are called then."""

import json

import mteb
import pytest

from genzoo.errors import InputError
from genzoo.tasks.own.choices import from_folder, is_own, own_name, prompt_metadata, with_chosen_data
from genzoo.tasks.sets.advbench_ir import AdvBenchIRRetrieval
from genzoo.tasks.sets.bundled import GenZooMiniRetrieval, GenZooMiniSTS
from genzoo.tasks.sets.safety import GenZooMiniSafetyRetrieval


@pytest.fixture
def folder(tmp_path):
    """Two documents and a query."""
    rows = {
        "corpus": [{"_id": "d0", "text": "rice grows in water"}, {"_id": "d1", "text": "mint grows in pots"}],
        "queries": [{"_id": "q0", "text": "where does rice grow"}],
        "qrels": [{"query-id": "q0", "corpus-id": "d0", "score": 1}],
    }
    for name, own in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    return tmp_path


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (GenZooMiniSTS, "GenZooMiniSTS takes no folder, as it is a task of type STS"),
        (lambda: mteb.get_task("Core17InstructionRetrieval"), "its queries come with instructions"),
        (lambda: mteb.get_task("MIRACLRetrieval"), "it has 18 subsets"),
        (GenZooMiniSafetyRetrieval, "by the kinds of its own passages"),
        (AdvBenchIRRetrieval, "'d0' serves a request, but its id does not begin with 'malicious_'"),
    ],
)
def test_tasks_that_take_no_folder_say_why(task, message, folder):
    with pytest.raises(InputError, match=message):
        from_folder(task(), folder)


def test_a_task_over_a_folder_takes_the_place_of_the_official_one(folder):
    tasks = [GenZooMiniSTS(), GenZooMiniRetrieval()]
    sts, made = with_chosen_data(tasks, [f"GenZooMiniRetrieval={folder}"])
    assert sts is tasks[0]
    assert made.metadata.name == own_name("GenZooMiniRetrieval", made.own_data.revision)
    assert is_own(made.metadata.name)
    assert made.metadata.dataset["revision"] == made.own_data.revision
    assert prompt_metadata(made) == GenZooMiniRetrieval.metadata
    assert prompt_metadata(sts) == GenZooMiniSTS.metadata


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("GenZooMiniRetrieval", "expected TASK=FOLDER or TASK=@COMMIT"),
        ("SciFact=x", "SciFact, which is not among the tasks of this run: GenZooMiniRetrieval"),
        (f"GenZooMiniRetrieval=@{'a' * 40}", "pinned by mteb at .*: --data takes a folder"),
    ],
)
def test_a_choice_that_fits_no_task_is_refused(choice, message):
    with pytest.raises(InputError, match=message):
        with_chosen_data([GenZooMiniRetrieval()], [choice])
