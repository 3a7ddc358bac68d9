import random

import numpy as np
import pytest
import torch

from genzoo.errors import InputError, UnknownNameError
from genzoo.tasks import resolve_tasks


def names(tasks):
    return [task.metadata.name for task in tasks]


def test_our_benchmark_by_name_and_alias():
    tasks, name = resolve_tasks("GenZoo(mini, v1)", [])
    assert name == "GenZoo(mini, v1)"
    assert len(tasks) == 6
    assert resolve_tasks("genzoo-mini", [])[1] == "GenZoo(mini, v1)"


def test_mtebs_benchmark():
    tasks, name = resolve_tasks("MTEB(eng, v2)", [])
    assert (len(tasks), name) == (41, "MTEB(eng, v2)")


def test_tasks_by_name_each_once_and_in_order():
    tasks, name = resolve_tasks(None, ["SciFact", "GenZooMiniSTS", "SciFact"])
    assert (names(tasks), name) == (["SciFact", "GenZooMiniSTS"], None)


def test_a_task_taken_from_a_benchmark_keeps_its_language_filter():
    tasks, name = resolve_tasks("MTEB(eng, v2)", ["STS17"])
    assert name is None
    assert tasks[0].hf_subsets == ["en-en"]
    assert len(resolve_tasks(None, ["STS17"])[0][0].hf_subsets) > 1


@pytest.mark.parametrize(
    ("benchmark", "tasks", "message"),
    [
        (None, ["STSBenchmrk"], r"unknown task 'STSBenchmrk'; did you mean 'STSBenchmark'"),
        (None, ["genzoominists"], r"did you mean 'GenZooMiniSTS'"),
        (None, ["zzzzzzzzzzzz"], r"unknown task 'zzzzzzzzzzzz'; \d+ are known"),
        ("GenZoo(mini)", [], r"unknown benchmark 'GenZoo\(mini\)'; did you mean .*'GenZoo\(mini, v1\)'"),
        ("GenZoo(mini, v1)", ["SciFact"], r"unknown task of GenZoo\(mini, v1\) 'SciFact'"),
    ],
)
def test_unknown_names_get_a_suggestion_and_a_hint(benchmark, tasks, message):
    with pytest.raises(UnknownNameError, match=message) as caught:
        resolve_tasks(benchmark, tasks)
    assert ("genzoo benchmarks" if benchmark and not tasks else "genzoo tasks") in str(caught.value)


def test_nothing_named():
    with pytest.raises(InputError, match="no task was named"):
        resolve_tasks(None, [])


def test_the_callers_random_state_survives():
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    torch.rand(3)
    before = states()
    resolve_tasks(None, ["GenZooMiniSTS", "SciFact"])
    assert states() == before
