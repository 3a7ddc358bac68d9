"""A folder that other processes list holds what this process finds, whatever becomes of them."""

import os
import signal
import sys
import time

import pytest

from genzoo.leaderboards import Listing, ResultStore
from genzoo.leaderboards.reading import tree as listing
from genzoo.leaderboards.reading.tree import find_results

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@pytest.fixture
def odd(tree):
    """Two models, one with experiments, and a file and a link that are no results."""
    for name in ("a", "b"):
        for place in range(3):
            tree.score((f"acme/{name}", "r"), f"T{place}", 0.3, 0.5)
    tree.write("results/acme__a/r/experiments/x_1/T0.json", "{}")
    tree.write("results/acme__b/lost.json", "{}")
    (tree.root / "results/acme__b/r/Dangling.json").symlink_to("nowhere")
    return tree


@pytest.fixture
def here(monkeypatch):
    """How often this process lists the folder itself."""
    calls = []
    monkeypatch.setattr(listing, "find_results", lambda *given: calls.append(1) or find_results(*given))
    return calls


def test_both_processes_find_the_same(odd, here):
    problems, expected_problems = [], []
    expected = find_results(odd.root, expected_problems)
    ahead = Listing(odd.root)
    found = ahead.find(odd.root, problems)
    assert here == []  # the calls of the child are the child's
    assert found == expected
    assert [type(file) for file in found] == [type(file) for file in expected]
    assert problems == expected_problems
    assert len(found) == 7
    assert len(problems) == 2


def test_store_is_the_same(odd):
    ahead, alone = ResultStore.load(odd.root, find=Listing(odd.root).find), ResultStore.load(odd.root)
    assert ahead.main_scores.astype(object).equals(alone.main_scores.astype(object))
    assert (ahead.files, ahead.models, ahead.problems) == (alone.files, alone.models, alone.problems)


def test_a_second_load_gets_a_list_of_its_own(odd, here):
    ahead = Listing(odd.root / "results")
    root = odd.root / "results" if not (odd.root / "tasks.json").is_file() else odd.root
    first = ahead.find(root, [])
    first.clear()
    problems = []
    assert len(ahead.find(root, problems)) == 7
    assert len(problems) == 2
    assert here == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_that_dies_costs_time_only(odd, here, monkeypatch, number):
    def die(files):
        if number == signal.SIGINT:  # a shell's background job ignores it
            signal.signal(number, signal.default_int_handler)
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(listing, "_packed", die)
    ahead = Listing(odd.root)
    assert ahead.find(odd.root, []) == find_results(odd.root, [])
    assert here == [1]


def test_a_child_that_fails_costs_time_only(odd, here, monkeypatch, capfd):
    monkeypatch.setattr(listing.marshal, "dumps", lambda content: 1 / 0)
    assert Listing(odd.root).find(odd.root, []) == find_results(odd.root, [])
    assert here == [1]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("n_parts", [1, 2, 3, 7])
def test_parts_are_the_whole(odd, n_parts):
    for name in ("c", "d", "e"):
        odd.score((f"acme/{name}", "r"), "T0", 0.3, 0.5)
    problems, whole = [], []
    parts = [find_results(odd.root, problems, (number, n_parts)) for number in range(n_parts)]
    assert [file for part in parts for file in part] == find_results(odd.root, whole)
    assert problems == whole


def test_another_folder_and_no_folder_are_listed_here(odd, here, tmp_path):
    assert len(Listing(tmp_path / "nowhere").find(odd.root, [])) == 7
    assert len(Listing(odd.root / "results").find(odd.root, [])) == 7
    table = tmp_path / "scores.csv"
    table.write_text("model,task,value\na,T,0.5\n")
    assert len(Listing(table).find(odd.root, [])) == 7
    assert here == [1, 1, 1]


def test_no_process_is_left_behind(odd, monkeypatch):
    fork, children = os.fork, []
    monkeypatch.setattr(os, "fork", lambda: children.append(fork()) or children[-1])
    Listing(odd.root).find(odd.root, [])
    assert len(children) == 2
    for child in children:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)
