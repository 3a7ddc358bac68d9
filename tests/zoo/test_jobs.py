"""Long work: shards, times, and who is told how far it is."""

import logging
import os
import threading
import warnings

import pytest

from genzoo.errors import InputError
from genzoo.jobs import Pace, Shard, as_time, check_device, is_running, job, report, reporting_to


def test_shards_are_the_whole_job():
    taken = [place for number in (1, 2, 3) for place in range(10) if Shard(number, 3).takes(place)]
    assert sorted(taken) == list(range(10))
    assert [Shard(number, 3).size(10) for number in (1, 2, 3)] == [4, 3, 3]
    assert Shard.parse("2/8").file_name("responses", ".jsonl") == "responses-2-of-8.jsonl"
    assert Shard.parse("1/1").file_name("responses", ".jsonl") == "responses.jsonl"


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_what_is_no_shard(text):
    with pytest.raises(InputError, match="is not a shard: write i/n"):
        Shard.parse(text)


def test_times_for_people():
    assert [as_time(seconds) for seconds in (0.4, 89, 90, 5999, 6001, None)] == [
        "0 s", "89 s", "2 min", "1 h 40 min", "1 h 40 min", "unknown",
    ]  # fmt: skip


def test_pace_counts_costs_not_steps():
    now = iter([0.0, 10.0])
    pace = Pace([1, 1, 8], start=0, clock=lambda: next(now))
    assert pace.seconds_left(0) is None
    assert pace.seconds_left(2) == pytest.approx(40.0)


def test_reports_reach_who_listens_and_nobody_else():
    heard, ended = [], []
    report("training", 1, 2)
    with reporting_to(lambda *told: heard.append(told), lambda: ended.append(is_running())):
        with job(), job():
            report("training", 1, 2, "remark")
            with reporting_to(None):
                report("training", 2, 2)
        report("after", 1, 1)
    report("training", 2, 2)
    assert heard == [("training", 1, 2, "remark"), ("after", 1, 1, "")]
    assert ended == [False]  # once, for the outermost


def test_a_job_is_a_decorator_that_says_what_goes_on(caplog):
    @job("loading the model")
    def verb(number):
        """What it does."""
        assert is_running()
        return number + 1

    caplog.set_level(logging.INFO, "genzoo")
    assert [verb(1), verb(2)] == [2, 3]
    assert verb.__doc__ == "What it does."
    assert [record.getMessage() for record in caplog.records] == ["loading the model"] * 2
    with pytest.raises(ZeroDivisionError), job():
        1 / 0  # noqa: B018
    assert not is_running()


def test_devices():
    check_device(None)
    check_device("cpu")
    with pytest.raises(InputError, match="there is no device 'nosuch' on this machine"):
        check_device("nosuch")


def test_other_libraries_are_silent_within_a_job(capfd, caplog, monkeypatch):
    from tqdm.auto import tqdm

    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    caplog.set_level(logging.WARNING, "mteb")
    others = logging.getLogger("mteb.some.module")
    with pytest.warns(FutureWarning, match="outside"):
        warnings.warn("outside", FutureWarning, stacklevel=1)
        with job():
            assert list(tqdm(range(3), disable=False)) == [0, 1, 2]
            warnings.warn("inside", FutureWarning, stacklevel=1)
            assert not others.isEnabledFor(logging.WARNING)
            assert others.isEnabledFor(logging.ERROR)
    assert capfd.readouterr() == ("", "")
    assert others.isEnabledFor(logging.WARNING)
    assert "TRANSFORMERS_VERBOSITY" not in os.environ
    list(tqdm(range(3), disable=False))
    assert "3/3" in capfd.readouterr().err


def test_a_bar_of_the_callers_own_thread_is_drawn(capfd):
    from tqdm.auto import tqdm

    class Theirs(tqdm):
        """A bar of a class of their own."""

    with job():
        assert list(Theirs(range(3), None, None, True, None, None, 0.1, 10.0, None, None, False)) == [0, 1, 2]
        assert capfd.readouterr().err == ""
        other = threading.Thread(target=lambda: list(Theirs(range(3), disable=False)))
        other.start()
        other.join()
    assert "3/3" in capfd.readouterr().err


def test_jobs_that_overlap_in_threads_leave_everything_as_it_was(capfd):
    from tqdm.std import tqdm

    def state():
        return vars(tqdm)["__init__"], list(warnings.filters), os.environ.get("TRANSFORMERS_VERBOSITY")

    before, ready, first_ended = state(), threading.Barrier(2), threading.Event()

    def first():
        with job():
            ready.wait()
        first_ended.set()

    def second():
        with job():
            ready.wait()
            first_ended.wait()
            with job("inner"):
                list(tqdm(range(3), disable=False))

    threads = [threading.Thread(target=each) for each in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert state() == before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_job_that_fails_leaves_everything_as_it_was(error):
    from tqdm.std import tqdm

    before = vars(tqdm)["__init__"], list(warnings.filters), dict(os.environ), logging.getLogger("mteb").level
    with pytest.raises(error), job():
        raise error
    assert (vars(tqdm)["__init__"], list(warnings.filters), dict(os.environ), logging.getLogger("mteb").level) == before
    assert not is_running()


def test_every_message_is_shown_where_asked_for(capfd, caplog):
    from tqdm.auto import tqdm

    caplog.set_level(logging.DEBUG, "genzoo")
    with job():
        list(tqdm(range(3), disable=False))
    assert "3/3" in capfd.readouterr().err
