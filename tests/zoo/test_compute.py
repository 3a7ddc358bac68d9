"""Threads by affinity, quota and load; and float32 products that another library multiplies."""

import io
import logging
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from genzoo import compute
from genzoo.compute import (
    Threads,
    as_many_threads,
    choose_threads,
    computing,
    fast_products,
    go_on_with,
    is_chosen,
    look_again,
    small_products,
    usable_cores,
)


@pytest.fixture
def two_threads(monkeypatch):
    """A process whose user has not said how many threads it takes, and that takes two by itself."""
    for name in compute.CHOSEN_BY_USER:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def set_load(monkeypatch, cores, busy):
    monkeypatch.setattr(compute, "usable_cores", lambda: cores)
    monkeypatch.setattr(compute.Load, "look", lambda self: (busy, cores))


@pytest.mark.parametrize(
    ("cores", "load", "limit", "processes", "number", "reason"),
    [
        (2, (0.1, 2), 2, 1, 2, ""),
        (2, (0.9, 2), 2, 1, 1, "other processes keep 0.9 of 2 processors busy"),
        (2, (7.0, 2), 2, 1, 1, "other processes keep 7.0 of 2 processors busy"),
        (4, (0.0, 64), 64, 1, 4, "this process may use 4 at once"),  # a quota
        (4, (40.0, 64), 64, 1, 4, "this process may use 4 at once"),  # on a host with room
        (16, (0.0, 16), 16, 4, 4, "4 processes share 16 processors"),
        (2, (0.0, 2), 2, 4, 1, "4 processes share 2 processors"),
        (16, (0.0, 16), 3, 1, 3, ""),  # the caller's own limit is never raised
    ],
)
def test_every_thread_has_a_processor(cores, load, limit, processes, number, reason):
    assert choose_threads(cores, load, limit, processes) == Threads(number, reason)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"/sys/fs/cgroup/cpu.max": "150000 100000"}, 2),
        ({"/sys/fs/cgroup/cpu.max": "max 100000"}, 8),
        ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 8),
        ({}, 8),
    ],
)
def test_the_quota_of_a_container_counts(monkeypatch, files, cores):
    """Both versions of cgroup, as joblib reads them, on a machine of eight processors."""
    from joblib.externals.loky.backend import context

    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    monkeypatch.setattr(context.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(context.os, "sched_getaffinity", lambda pid: set(range(8)))
    fake = SimpleNamespace(exists=lambda path: path in files)
    monkeypatch.setattr(context.os, "path", SimpleNamespace(**{**vars(context.os.path), **vars(fake)}))
    monkeypatch.setattr(context, "open", lambda path, *_: io.StringIO(files[path]), raising=False)
    assert usable_cores() == cores


def test_a_busy_process_is_seen():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        load = compute.Load()
        used, processors = load.look(0.5)
    finally:
        busy.kill()
        busy.wait()
    assert used > 0.3
    assert processors >= 1


def test_own_work_is_no_load_of_others(monkeypatch):
    """Only the difference counts: a second of all processors, of which this process took 0.7."""
    load = compute.Load()
    load._before = (time.monotonic() - 1, 100.0, 10.0)
    monkeypatch.setattr(load, "_times", lambda: (load._before[0] + 1, 101.2, 10.7))
    assert load.look(0)[0] == pytest.approx(0.5)


def test_threads_follow_the_load_and_come_back(two_threads, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "genzoo")
    set_load(monkeypatch, 2, 1.0)
    with computing():
        assert torch.get_num_threads() == 1
        with computing():  # a stage within a run
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
        set_load(monkeypatch, 2, 0.0)
        look_again()  # too soon
        assert torch.get_num_threads() == 1
        compute._watch.looked -= 60
        look_again()
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2
    assert [one.getMessage() for one in caplog.records] == [
        "computing with 1 of 2 threads: other processes keep 1.0 of 2 processors busy (OMP_NUM_THREADS sets their number)",
        "computing with 2 of 2 threads (OMP_NUM_THREADS sets their number)",
    ]


@pytest.mark.parametrize("name", compute.CHOSEN_BY_USER)
def test_the_users_own_number_is_left_alone(two_threads, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    set_load(monkeypatch, 2, 2.0)
    assert is_chosen({name: "2"})
    with computing():
        assert torch.get_num_threads() == 2
        go_on_with(1)
        assert torch.get_num_threads() == 2


def test_children_take_as_many_threads(two_threads):
    words = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
    torch.set_num_threads(1)
    with as_many_threads():
        assert subprocess.check_output(words, text=True).strip() == "1"


def test_a_training_goes_on_with_the_threads_that_it_began_with(two_threads, monkeypatch):
    set_load(monkeypatch, 2, 1.0)
    with computing():
        go_on_with(2)
        assert torch.get_num_threads() == 2


def test_fast_products_are_exact_and_end():
    """The last digits are left free: MKL's depend on where the operands lie in memory."""
    left, right = torch.randn(40, 300), torch.randn(70, 300)
    exact = (left.double() @ right.T.double()).float()
    matmul = torch.backends.mkldnn.matmul
    setting = matmul.fp32_precision
    with fast_products():
        fast, inside = left @ right.T, matmul.fp32_precision
        with small_products():
            small, within = left @ right.T, matmul.fp32_precision
        assert matmul.fp32_precision == inside
    assert matmul.fp32_precision == setting == within
    assert (inside != setting) == compute.has_exact_products()
    for product in (fast, small, left @ right.T):
        assert (product - exact).abs().max() < 1e-4  # operands rounded to bfloat16 are off by 0.05 and more
    assert torch.get_float32_matmul_precision() == "highest"  # raises where old and new settings are mixed


def test_a_setting_of_the_callers_own_stays(monkeypatch):
    monkeypatch.setattr(compute, "has_exact_products", lambda: True)
    matmul = torch.backends.mkldnn.matmul
    matmul.fp32_precision = "ieee"
    try:
        with fast_products():
            assert matmul.fp32_precision == "ieee"
    finally:
        matmul.fp32_precision = "none"


def test_no_other_processor_is_told_to_round(monkeypatch):
    """On one with AMX the same setting rounds operands to bfloat16."""
    monkeypatch.setattr(compute, "processor_name", lambda: "Intel(R) Xeon(R) Platinum 8481C")
    compute.has_exact_products.cache_clear()
    try:
        assert not compute.has_exact_products()
        with fast_products():
            assert torch.backends.mkldnn.matmul.fp32_precision == "none"
    finally:
        compute.has_exact_products.cache_clear()
