"""How a run computes on this machine: how many threads torch takes, and which library multiplies its float32 matrices."""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
CHOSEN_BY_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that set the number of threads; where one is set, genzoo leaves the number alone."""
_SAMPLE = 0.2  # seconds in which the load is measured
_PAUSE = 10.0  # seconds between two looks at the load
_SLACK = 0.25  # a processor that is busy for less than this share of the time counts as free


@dataclass(frozen=True)
class Threads:
    """How many threads torch should take.

    Attributes:
        number: At least 1.
        reason: Why not one for each processor; empty where it is one for each.
    """

    number: int
    reason: str = ""


def usable_cores() -> int:
    """Processors that this process may use: its affinity, and the CPU quota of its container (cgroup v1 and v2)."""
    import joblib

    return int(joblib.cpu_count())


def choose_threads(cores: int, load: tuple[float, int], limit: int, processes: int = 1) -> Threads:
    """The number of threads that get a processor each.

    A thread that has to wait for its processor makes all the others wait: two threads beside one busy process are slower than one.

    Args:
        cores: Processors that this process may use at once.
        load: Processors that other processes keep busy, of how many.
        limit: Threads that torch would take by itself, or that the caller gave it.
        processes: Processes of this run that compute side by side.

    >>> choose_threads(cores=2, load=(1.0, 2), limit=2)
    Threads(number=1, reason='other processes keep 1.0 of 2 processors busy')
    >>> choose_threads(cores=8, load=(30.0, 64), limit=64, processes=4)
    Threads(number=2, reason='4 processes share 8 processors')
    """
    busy, processors = load
    free = max(1, min(cores, int(processors - busy + _SLACK)))
    number = max(1, min(free // processes, limit))
    if number >= limit:
        return Threads(number)
    if processes > 1:
        return Threads(number, f"{processes} processes share {free} processors")
    if free < cores:
        return Threads(number, f"other processes keep {busy:.1f} of {processors} processors busy")
    return Threads(number, f"this process may use {cores} at once")


class Load:
    """How busy other processes keep the processors that this process may run on."""

    def __init__(self) -> None:
        import psutil  # 60 ms that most commands do without

        self._process, self._every = psutil.Process(), psutil.cpu_times
        self._before = self._times()

    def look(self, least: float = _SAMPLE) -> tuple[float, int]:
        """How many of how many processors others kept busy since the last look, or for `least` seconds where that is longer."""
        time.sleep(max(0.0, self._before[0] + least - time.monotonic()))
        before, self._before = self._before, self._times()
        passed, total, own = (new - old for new, old in zip(self._before, before, strict=True))
        return max(0.0, (total - own) / passed), len(self._processors())

    def _processors(self) -> list[Any]:
        """The times of each processor that this process may run on."""
        allowed = self._process.cpu_affinity() if hasattr(self._process, "cpu_affinity") else None
        every: Any = enumerate(self._every(percpu=True))
        return [row for place, row in every if allowed is None or place in allowed]

    def _times(self) -> tuple[float, float, float]:
        """The time now, the busy time of all these processors together, and this process's own, in seconds."""
        idle = ("idle", "iowait", "guest", "guest_nice")  # guests are part of user and nice
        rows = [row._asdict() for row in self._processors()]
        busy = sum(value for row in rows for name, value in row.items() if name not in idle)
        own = self._process.cpu_times()
        return time.monotonic(), busy, own.user + own.system


class _Watch:
    """The threads of the run that is going on, chosen anew now and then."""

    def __init__(self, processes: int) -> None:
        import torch

        self.limit, self.processes, self.load = torch.get_num_threads(), processes, Load()
        self.looked = 0.0

    def look(self) -> None:
        """Take as many threads as there are free processors now."""
        import torch

        self.looked = time.monotonic()
        found = choose_threads(usable_cores(), self.load.look(), self.limit, self.processes)
        if found.number == torch.get_num_threads():
            return
        torch.set_num_threads(found.number)
        log.info(
            "computing with %s of %s threads%s (OMP_NUM_THREADS sets their number)",
            found.number,
            self.limit,
            f": {found.reason}" if found.reason else "",
        )


_watch: _Watch | None = None


def look_again() -> None:
    """Choose the threads of the run that is going on anew, where its last look at the load is some seconds old.

    The sums of a computation depend, in their last digits, on the number of threads. So it is not called where a run that
    was stopped has to end bit for bit as an undisturbed one.
    """
    if _watch is not None and _watch.processes == 1 and time.monotonic() - _watch.looked > _PAUSE:
        _watch.look()


@contextmanager
def computing(processes: int = 1) -> Iterator[None]:
    """Around heavy work on the CPU, as a ``with`` block or a decorator: threads by the load, and the faster matrix products.

    Threads are left alone where `CHOSEN_BY_USER` says how many. What is set is set for the whole process, until the block ends.

    Args:
        processes: Processes of this run that compute side by side.
    """
    global _watch
    if _watch is not None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    try:
        if before > 1 and not is_chosen(os.environ):
            _watch = _Watch(processes)
            _watch.look()
        with fast_products():
            yield
    finally:
        if _watch is not None:
            _watch = None
            torch.set_num_threads(before)


@contextmanager
def as_many_threads() -> Iterator[None]:
    """Give processes that are started meanwhile as many threads as torch has in this one."""
    import torch

    if is_chosen(os.environ):
        yield
        return
    os.environ[CHOSEN_BY_USER[0]] = str(torch.get_num_threads())
    try:
        yield
    finally:
        del os.environ[CHOSEN_BY_USER[0]]


def go_on_with(threads: int) -> None:
    """Take as many threads as an earlier part of the same computation had, so that its last digits stay the same."""
    import torch

    if not is_chosen(os.environ) and threads != torch.get_num_threads():
        torch.set_num_threads(threads)
        log.info("going on with %s threads, as this training began, so that its result stays the same", threads)


def is_chosen(environment: Mapping[str, str]) -> bool:
    """Whether the user has set the number of threads."""
    return any(environment.get(name) for name in CHOSEN_BY_USER)


@contextmanager
def fast_products() -> Iterator[None]:
    """Let oneDNN multiply float32 matrices meanwhile, where that is faster and as exact: on AMD processors with AVX-512.

    torch multiplies with MKL, which on AMD has kernels of half the width only. No setting names oneDNN; the one that lets it
    round to bfloat16 also chooses it, and without AMX, which these processors do not have, it rounds nothing (oneDNN 3.12,
    torch 2.13). `has_exact_products` checks that on this machine. A setting of the caller's own stays.
    """
    with _products("none", "bf16"):
        yield


@contextmanager
def small_products() -> Iterator[None]:
    """Let MKL multiply again within `fast_products`: it is twice as fast in attention, whose matrices are small and many."""
    with _products("bf16", "none"):
        yield


@contextmanager
def _products(before: str, now: str) -> Iterator[None]:
    matmul = _setting()
    if getattr(matmul, "fp32_precision", "") != before or not has_exact_products():
        yield
        return
    matmul.fp32_precision = now
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _setting() -> Any:
    """Of oneDNN's float32 products; None before torch 2.9."""
    import torch

    return getattr(torch.backends.mkldnn, "matmul", None)


@functools.cache
def has_exact_products() -> bool:
    """Whether this is an AMD processor on which oneDNN rounds no operand of a float32 product."""
    import torch

    if (
        "AMD" not in processor_name()
        or torch.backends.cpu.get_cpu_capability() != "AVX512"
        or not torch.backends.mkl.is_available()
    ):
        return False
    matmul, draw = _setting(), torch.Generator().manual_seed(0)
    matmul.fp32_precision = "bf16"
    try:
        return all(
            _error(torch.randn(rows, 512, generator=draw), torch.randn(192, 512, generator=draw)) < 1e-5
            for rows in (1, 64, 512)
        )
    finally:
        matmul.fp32_precision = "none"


def _error(left: Any, right: Any) -> float:
    """Error of a product in float32, relative to its largest number; operands rounded to bfloat16 give about 0.002."""
    exact = left.double() @ right.double().T
    return float(((left @ right.T).double() - exact).abs().max() / exact.abs().max())


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers: AVX512_BF16 or AMX. All others only emulate it, slowly."""
    import torch

    queries = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(query() for query in queries if query is not None)


@functools.cache
def processor_name() -> str:
    """The processor's name, which Python's platform module does not know on Linux."""
    import platform

    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
