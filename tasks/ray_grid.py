"""The grid of models and tasks on a Ray cluster: one Ray task per pair, all on one results folder.

What is sent is the user's request, not models: every worker resolves it and takes its pair as a shard (`genzoo.jobs`). So a pair that
is finished costs a worker nothing but a look, and a run that was stopped goes on as any other.
"""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genzoo.errors import FailedRunsError, InputError, ZooError
from genzoo.jobs import Shard
from genzoo.tasks.model_session import EncodeSettings
from genzoo.tasks.request import Request
from genzoo.text import first_line

OnPair = Callable[[int, int], None]
Outcome = tuple[str | None, list[str]]
"""What went wrong with a pair, if anything, and the notes on its result."""


def evaluate_on_ray(
    request: Request,
    output: Path,
    *,
    address: str = "auto",
    settings: EncodeSettings | None = None,
    overwrite: bool = False,
    cpus_per_pair: int = 1,
    on_pair: OnPair = lambda done, total: None,
    on_note: Callable[[str], None] = warnings.warn,
) -> None:
    """Measure every pair of model and task as a Ray task of an existing cluster.

    A pair takes one GPU if the device is ``cuda``, else `cpus_per_pair` processors. Pairs that fail do not stop the others.

    Args:
        request: What to measure. Folders and files that it names must lie at the same place on every machine.
        output: The results folder, on a file system that all machines share.
        address: Of the cluster, as `ray.init` takes it.
        settings: How the models encode.
        overwrite: Run finished pairs again.
        cpus_per_pair: Processors that Ray sets aside for a pair; Ray gives torch as many threads.
        on_pair: Called with the number of pairs that are done, and of all.
        on_note: Called with a line on results that are measured again, or that are kept but were measured otherwise.

    Raises:
        InputError: Ray is not installed, or there is no cluster at that address.
        FailedRunsError: Some pairs failed, after all others are done.
    """
    ray = _connect(address)
    settings = settings or EncodeSettings()
    total = request.resolve(results=Path(output)).size
    wants_gpu = (settings.device or "").startswith("cuda")
    resources: dict[str, Any] = {"num_gpus": 1} if wants_gpu else {"num_cpus": cpus_per_pair}
    run_pair = ray.remote(_run_pair).options(max_retries=2, **resources)
    words = (request.portable(), Path(output).absolute(), settings, overwrite)
    waiting = [run_pair.remote(*words, number, total) for number in range(1, total + 1)]
    failures: list[str] = []
    try:
        on_pair(0, total)
        while waiting:
            ready, waiting = ray.wait(waiting)
            for problem, notes in (_outcome(ray, pair) for pair in ready):
                failures += [problem] if problem else []
                for note in notes:
                    on_note(note)
            on_pair(total - len(waiting), total)
    except BaseException:
        for pair in waiting:
            ray.cancel(pair, force=True)
        raise
    finally:
        ray.shutdown()
    if failures:
        failed = f"{len(failures)} of {total} pairs failed, the others are kept in {output}"
        raise FailedRunsError(f"{failed}: {'; '.join(failures)}")


def _run_pair(
    request: Request, output: Path, settings: EncodeSettings, overwrite: bool, number: int, total: int
) -> Outcome:
    """Measure one pair in a worker."""
    from genzoo.tasks.evaluation import evaluate

    notes: list[str] = []
    try:
        grid = request.resolve(results=output)
        evaluate(
            grid.metas,
            grid.tasks,
            output,
            benchmark_name=grid.benchmark_name,
            settings=settings,
            shard=Shard(number, total),
            on_note=notes.append,
            overwrite=overwrite,
            facts=grid.facts,
        )
    except ZooError as error:
        return str(error), notes
    return None, notes


def _outcome(ray: Any, pair: Any) -> Outcome:
    try:
        found: Outcome = ray.get(pair)
    except ray.exceptions.RayError as error:  # the worker itself is gone
        return str(error).strip().splitlines()[-1], []
    return found


def _connect(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError("--ray needs Ray: pip install 'genzoo[ray]'") from error
    try:
        _check_port(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        missing = f"no Ray cluster at {address!r} ({first_line(error)})"
        start = "start one with ray start --head, and on the other machines ray start --address=HOST:6379"
        raise InputError(f"{missing}: {start}") from error
    return ray


def _check_port(address: str) -> None:
    """Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()
