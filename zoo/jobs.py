"""Long work: reports of progress, the share of one of several machines or processes, speed, and the time left."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from genzoo.compute import fast_products
from genzoo.errors import InputError

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import Tensor

Item = TypeVar("Item")

log = logging.getLogger(__name__)
_TALKATIVE = ("transformers", "mteb")
"""Loggers of libraries that report what every model and task of theirs does."""
_THREADED = ("huggingface_hub.", "datasets.")
_DISABLE = 10  # place of the argument "disable" of tqdm
Reporter = Callable[[str, int, int, str], None]
"""Called with the stage, how much of it is done, how much there is, and a short remark."""


@dataclass
class _Work:
    """What goes on: the threads of all jobs, who hears of their progress, and what ends the silence of other libraries."""

    threads: list[int] = field(default_factory=list)
    report: Reporter | None = None
    end: Callable[[], None] = lambda: None
    end_silence: Callable[[], None] = lambda: None


_work, _lock = _Work(), threading.Lock()


def report(stage: str, done: int, total: int, remark: str = "") -> None:
    """Say how far a stage of long work is; costs nothing where nobody listens."""
    if _work.report is not None:
        _work.report(stage, done, total, remark)


def is_running() -> bool:
    """Whether a `job` is going on, so that what is shown will also be taken away."""
    return bool(_work.threads)


@contextmanager
def reporting_to(reporter: Reporter | None, end: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let a callable hear every `report` meanwhile.

    Args:
        reporter: Called with stage, done, total and remark; None for silence.
        end: Called when the outermost `job` ends.
    """
    before = _work.report, _work.end
    _work.report, _work.end = reporter, end
    try:
        yield
    finally:
        _work.report, _work.end = before


def pause() -> None:
    """Take away what is shown until something is reported again: somebody else is about to write."""
    _work.end()


@contextmanager
def job(line: str = "") -> Iterator[None]:
    """Around long work, as a ``with`` block or a decorator: bars and spinner are taken away when the outermost job ends.

    Meanwhile other libraries' bars, load reports and deprecation warnings are not shown, unless every message is asked for. What
    is set for that is set for the whole process: by the first job, until the last one has ended. Bars that threads of the caller's
    own draw meanwhile stay.

    Args:
        line: What is going on, as a message of level INFO.
    """
    here = threading.get_ident()
    with _lock:
        if not _work.threads and not log.isEnabledFor(logging.DEBUG):
            _work.end_silence = _hush()
        _work.threads.append(here)
    try:
        if line:
            log.info(line)
        yield
    finally:
        with _lock:
            _work.threads.remove(here)
            if is_last := not _work.threads:
                _work.end_silence()
                _work.end_silence = lambda: None
        if is_last:
            _work.end()


def _hush() -> Callable[[], None]:
    """Silence other libraries; returns what undoes it."""
    undo = ExitStack()
    undo.enter_context(warnings.catch_warnings())
    for category in (DeprecationWarning, FutureWarning):
        warnings.simplefilter("ignore", category)
    warnings.filterwarnings("ignore", message="The task .* is superseded")
    _hush_bars(undo)
    levels = {name: logging.getLogger(name).level for name in _TALKATIVE}
    # A library that is first imported meanwhile sets its level itself: transformers by this variable.
    variable = "TRANSFORMERS_VERBOSITY"
    is_asked_for, was_imported = variable in os.environ, "transformers" in sys.modules
    for name in _TALKATIVE if not is_asked_for else ("mteb",):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault(variable, "error")

    def restore() -> None:
        if not was_imported:  # it has set its level itself: what is asked for, or the one that was meant for meanwhile
            levels["transformers"] = logging.getLogger("transformers").level if is_asked_for else logging.WARNING
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if not is_asked_for:
            os.environ.pop(variable, None)

    undo.callback(restore)
    return undo.close


def _hush_bars(undo: ExitStack) -> None:
    """Let tqdm draw no bar of a thread that wants silence, nor of a library that draws its bars in threads of its own."""
    from tqdm.std import tqdm

    begin, before = tqdm.__init__, vars(tqdm)["__init__"]

    def disabled(self: Any, *given: Any, **options: Any) -> None:
        if threading.get_ident() in _work.threads or type(self).__module__.startswith(_THREADED):
            given, options = given[:_DISABLE], options | {"disable": True}
        begin(self, *given, **options)

    tqdm.__init__ = disabled
    undo.callback(setattr, tqdm, "__init__", before)


@dataclass(frozen=True)
class Shard:
    """Every count-th item, beginning at the number-th, both counted from 1; the shards together are the whole job.

    >>> [place for place in range(5) if Shard(2, 3).takes(place)]
    [1, 4]
    """

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/8``.

        >>> Shard.parse("2/8")
        Shard(number=2, count=8)
        """
        first, _, second = text.partition("/")
        if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
            raise InputError(f"{text!r} is not a shard: write i/n with 1 <= i <= n, as in 2/8")
        return cls(int(first), int(second))

    def takes(self, place: int) -> bool:
        """Whether the item at this place, counted from 0, is of this shard."""
        return place % self.count == self.number - 1

    def size(self, total: int) -> int:
        """How many of so many items are of this shard."""
        return len(range(self.number - 1, total, self.count))

    def file_name(self, stem: str, suffix: str) -> str:
        """A name of its own for what this shard writes: ``responses.jsonl``, or ``responses-2-of-8.jsonl``."""
        return f"{stem}{suffix}" if self.count == 1 else f"{stem}-{self.number}-of-{self.count}{suffix}"


WHOLE = Shard()


class Processes:
    """This process among its peers.

    Args:
        state: accelerate's; None for a process that stands alone.
    """

    def __init__(self, state: PartialState | None = None) -> None:
        self._state = state
        self.rank = state.process_index if state else 0
        self.count = state.num_processes if state else 1

    @classmethod
    def from_environment(cls, device: str | None = None) -> Processes:
        """What ``accelerate launch`` or ``torchrun`` set up, if they did."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        import torch
        from accelerate import PartialState

        return cls(PartialState(cpu=device == "cpu" or not torch.cuda.is_available()))

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and draws bars."""
        return self.rank == 0

    @property
    def device(self) -> str | None:
        """Where accelerate wants this process to compute; None for a process alone."""
        return str(self._state.device) if self._state else None

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part: every n-th, so that like lengths are spread evenly."""
        return items[self.rank :: self.count]

    def sum(self, tensor: Tensor) -> Tensor:
        """The tensor summed over all processes, the same in each."""
        if self.count == 1:
            return tensor
        from accelerate.utils import reduce

        return reduce(tensor, reduction="sum")

    def wait(self) -> None:
        """Until all processes are here."""
        if self._state:
            self._state.wait_for_everyone()

    def main_first(self) -> AbstractContextManager[Any]:
        """The main process runs the block before the others, which then find its files."""
        return self._state.main_process_first() if self._state else nullcontext()


CHARACTERS_PER_TOKEN = 4.2
"""English text under a byte-pair vocabulary of some ten thousand entries."""


@fast_products()
def measure_speed(device: str | None = None, dtype: str = "float32") -> float:
    """Floating-point operations per second of a matrix product on this machine now; takes half a second."""
    import torch

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    left, right = (torch.randn(1024, 1024, device=where).to(getattr(torch, dtype)) for _ in range(2))
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < 0.5:
        start = time.perf_counter()
        (left @ right)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best


def check_device(name: str | None) -> None:
    """Refuse a device that this machine does not have, before anything is loaded; None is the best one."""
    if name is None:
        return
    import torch

    try:
        torch.empty(1, device=torch.device(name))
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split())[:160]
        raise InputError(
            f"there is no device {name!r} on this machine ({why}): give cpu, or leave the device out"
        ) from error


def as_time(seconds: float | None) -> str:
    """Seconds for people.

    >>> as_time(42), as_time(600), as_time(9000), as_time(None)
    ('42 s', '10 min', '2 h 30 min', 'unknown')
    """
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class Pace:
    """Time left, from what was done so far and what each step costs.

    Args:
        costs: Cost of each step, in any unit.
        start: Steps that an earlier run had done.
        clock: Gives seconds.
    """

    def __init__(self, costs: Sequence[float], start: int = 0, clock: object = None) -> None:
        self._clock = clock if callable(clock) else time.perf_counter
        self._total = [0.0]
        for cost in costs:
            self._total.append(self._total[-1] + cost)
        self._start, self._began = start, self._clock()

    def seconds_left(self, done: int) -> float | None:
        """Seconds until the last step, after ``done`` steps; None before the first."""
        made = self._total[done] - self._total[self._start]
        if made <= 0:
            return None
        return (self._clock() - self._began) * (self._total[-1] - self._total[done]) / made
