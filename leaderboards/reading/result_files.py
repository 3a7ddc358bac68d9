"""mteb's result files, of any age, as flat records."""

from __future__ import annotations

import functools
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from genzoo.leaderboards.facts import ModelKey, Problem

# Before mteb 1.11 (and up to 1.12.48 in pair classification) scores were nested by similarity.
_OLD_SIMILARITY = {"cos_sim": "cosine"}
_OLD_NESTED = {"cos_sim", "euclidean", "manhattan", "dot", "max", "similarity", "v_measures"}
_OLD_HEADER = {"dataset_revision", "mteb_dataset_name", "mteb_version", "evaluation_time", "evaluation_phases", "date"}


# The largest of 2,050 published result files has 0.6 MB; far above that a file is something else.
LARGEST = 40_000_000

# A predictions file holds a thousand documents for each of many queries.
_LARGEST_PREDICTIONS = 2_000_000_000

# How far a score that is made of predictions may lie from the stated one, which mteb rounds: documents of equal similarity may
# swap places too.
SCORE_TOLERANCE = 2e-3

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON allows what no UTF-8 can hold
_NOBODY = ModelKey("", "")  # whose a file beside the results is
# Bytes of a file that is kept in memory once it was read; of 2,050 published result files, all but a few are smaller.
_SMALL = 250_000

# Shown for a version or revision that a file does not state.
UNKNOWN = "unknown"


class Record(NamedTuple):
    """The scalar scores of one task, split and subset from one file."""

    key: ModelKey
    task: str
    split: str
    subset: str
    mteb_version: str
    data_revision: str
    source: str
    scores: dict[str, float]


class ResultFile(NamedTuple):
    """Where a result file lies, whose result it holds, and what tells whether it has changed."""

    path: str
    source: str  # path below the root of the tree, for provenance
    key: ModelKey
    size: int = 0
    mtime_ns: int = 0


def read_json(path: Path | str, source: str, problems: list[Problem], largest: int = LARGEST) -> Any:
    """The content of a JSON file (bare NaN is let through), or None with a line in `problems`.

    Args:
        path: The file.
        source: What `problems` call it.
        problems: Grows by one line if the file cannot be used.
        largest: Bytes above which a file is refused unread.
    """
    if ".." in source.split("/"):  # made of a name in a file
        problems.append(Problem(source, "is outside the results folder: not read"))
        return None
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  (a Path for each of 100,000 files costs a second)
            size = os.fstat(file.fileno()).st_size
            content = file.read() if size <= largest else b""
    except OSError as error:
        problems.append(Problem(source, f"cannot be read: {error.strerror or error}"))
        return None
    if size > largest:
        problems.append(
            Problem(source, f"has {size / 1e6:,.0f} MB, more than the {largest / 1e6:,.0f} MB that are read")
        )
        return None
    try:
        return from_json(content)  # several times as fast as json, whose messages say more
    except ValueError:
        return _explained(content, source, problems)


def _explained(content: bytes, source: str, problems: list[Problem]) -> Any:
    """What the standard library makes of the file, or its reason why not; half a surrogate pair becomes its escape."""
    try:
        text = json.dumps(json.loads(content.decode("utf-8-sig")), ensure_ascii=False)
        return json.loads(_LONE_SURROGATE.sub(lambda half: f"\\\\u{ord(half[0]):x}", text))
    except UnicodeDecodeError as error:
        problems.append(Problem(source, f"is not UTF-8 text: {error.reason} at byte {error.start}"))
    except json.JSONDecodeError as error:
        problems.append(Problem(source, f"is not complete JSON: {error}" if content else "is empty"))
    except RecursionError:
        problems.append(Problem(source, "is nested too deeply to be a result file"))
    return None


def read_predictions(root: Path, key: ModelKey, task: str, problems: list[Problem]) -> tuple[str, Any]:
    """Where a model's predictions lie below the root of the tree, and what the file holds; None without a usable one."""
    source = f"predictions/{key.folder}/{task}_predictions.json"
    if not _is_there(root / source):
        return source, None
    return source, read_json(root / source, source, problems, _LARGEST_PREDICTIONS)


def _is_there(path: Path | str) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return Path(path).is_file()
    except OSError:  # a name that is too long, or a folder that may not be looked into
        return False


def read_object(path: Path | str, source: str, problems: list[Problem]) -> dict[str, Any]:
    """Like `read_json` for files that must hold a JSON object; a missing file is an empty one."""
    if not _is_there(path):
        return {}
    state = os.stat(path)  # noqa: PTH116
    data, wrong = _content_of(ResultFile(os.fspath(path), source, _NOBODY, state.st_size, state.st_mtime_ns))
    problems += wrong
    if data is None or isinstance(data, dict):
        return data or {}
    problems.append(Problem(source, f"holds a JSON {type(data).__name__}, an object is expected"))
    return {}


@functools.lru_cache(maxsize=1024)
def _content(file: ResultFile) -> tuple[Any, list[Problem]]:
    """What a file holds, and why it cannot be used, as long as it has this size and time of change."""
    problems: list[Problem] = []
    return read_json(file.path, file.source, problems), problems


def _content_of(file: ResultFile) -> tuple[Any, list[Problem]]:
    """`_content`, kept in memory where that is small: a report asks for the same files several times."""
    return _content(file) if file.size <= _SMALL else _content.__wrapped__(file)


def read_result(
    file: ResultFile,
    main_scores: Mapping[str, str],
    problems: list[Problem],
    *,
    only_main: bool = False,
    once: bool = False,
) -> list[Record]:
    """The records of one result file; what cannot be used is named in `problems`.

    Only numbers become scores. Lists (scores per experiment, p-values) stay in the file that `source` names.

    Args:
        file: The file and its model.
        main_scores: Task to the metric of its main score, for records that lack `main_score`.
        problems: Grows by one line for each thing that could not be used.
        only_main: Leave out all numbers but the main score, which is all that a leaderboard needs.
        once: The file will not be asked for again, as one of very many.
    """
    data, wrong = _content.__wrapped__(file) if once else _content_of(file)
    problems += wrong
    if data is None:
        return []
    if not isinstance(data, dict):
        problems.append(Problem(file.source, f"holds a JSON {type(data).__name__}, an mteb result is an object"))
        return []
    task = str(
        data.get("task_name")
        or data.get("mteb_dataset_name")
        or os.fsencode(Path(file.path).stem).decode(errors="backslashreplace")
    )
    version, revision = (_stated(data.get(name)) for name in ("mteb_version", "dataset_revision"))
    records = []
    for split, subset, raw in entries(data, file.source, problems):
        main = raw.get("main_score")
        if only_main and type(main) is float and math.isfinite(main):
            scores = {"main_score": main}
        else:
            scores = _scalars(raw)
            _settle_main_score(scores, raw, task, f"{split}/{subset}", file.source, main_scores, problems)
        records.append(Record(file.key, task, split, subset, version, revision, file.source, scores))
    if not records:
        problems.append(Problem(file.source, "holds no scores: it is not an mteb result, or the run was cut off"))
    return records


def _stated(value: object) -> str:
    """A version or revision; published files also hold the text "None"."""
    return UNKNOWN if value in (None, "", "None") else str(value)


def entries(data: dict[str, Any], source: str, problems: list[Problem]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(split, subset, scores) of a file in today's format or in the one before mteb 1.11."""
    splits = data.get("scores")
    if splits is None:
        yield from _old_entries(data)
        return
    if not isinstance(splits, dict):
        problems.append(Problem(source, f'its "scores" are a {type(splits).__name__}, an object of splits is expected'))
        return
    for split, rows in splits.items():
        for position, row in enumerate(rows if isinstance(rows, list) else [rows]):
            if isinstance(row, dict):
                yield str(split), str(row.get("hf_subset") or "default"), row
            else:
                problems.append(Problem(source, f"entry {position} of split {split} is not an object and was left out"))


def _old_entries(data: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for split, row in data.items():
        if split in _OLD_HEADER or not isinstance(row, dict):
            continue
        subsets = {name: item for name, item in row.items() if isinstance(item, dict) and name not in _OLD_NESTED}
        if subsets:
            yield from ((split, str(subset), item) for subset, item in subsets.items())
        else:
            yield split, "default", row


def _scalars(raw: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a score record; one level of nesting becomes `outer_inner`."""
    scores: dict[str, float] = {}
    for name, value in raw.items():
        if isinstance(value, dict):
            prefix = _OLD_SIMILARITY.get(name, name)
            scores |= {f"{prefix}_{inner}": float(item) for inner, item in value.items() if _is_number(item)}
        elif _is_number(value):
            scores[str(name)] = float(value)
    return scores


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _settle_main_score(
    scores: dict[str, float],
    raw: Mapping[str, Any],
    task: str,
    place: str,
    source: str,
    main_scores: Mapping[str, str],
    problems: list[Problem],
) -> None:
    """Make sure that `main_score` is a finite number or NaN, and that the reader learns why it is NaN."""
    name = main_scores.get(task, "main_score")
    if "main_score" not in raw and name in scores:
        scores["main_score"] = scores[name]
    value = scores.get("main_score")
    if value is not None and math.isfinite(value):
        return
    if value is not None:
        reason = f"main score of {place} is {value}"
    elif "main_score" in raw:
        reason = f"main score of {place} is {raw['main_score']!r:.40}, no number"
    else:
        reason = f"no main score in {place}" + (f" (nor {name})" if name != "main_score" else "")
    scores["main_score"] = math.nan
    problems.append(Problem(source, f"{reason}: counted as missing"))
