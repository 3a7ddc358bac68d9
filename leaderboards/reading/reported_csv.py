"""Tables of scores that somebody wrote down, as CSV: which cells are scores, and in what unit."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from genzoo.errors import InputError
from genzoo.leaderboards.facts import Problem
from genzoo.leaderboards.reading.reported import STATED, ReportedScore

TABLES = "Give the columns model, task and main_score, or model and one column per task, with commas between the cells"
"""What a table looks like, for error messages."""
_VALUES = ("main_score", "value", "score")
_LONGEST_ROW = 20  # lines that one row may take up, for notes in quotes
_BY_CHANCE = 0.005  # how probable it may be that a task's column looks like the mean of the others
# What boards show beside the tasks: means and ranks, task types, and facts about the models.
_MEANS = {"average", "averages", "avg", "mean", "median", "rank", "ranking", "borda", "overall", "total", "wins"}
_TYPES = {
    "bitextmining", "classification", "clustering", "instructionreranking", "instructionretrieval",
    "multilabelclassification", "pairclassification", "reranking", "retrieval", "sts", "summarization",
}  # fmt: skip
_FACTS = {
    "#", "of", "no", "number", "size", "model", "max", "embedding", "embed", "trained", "active", "b", "m", "mb", "gb", "k",
    "params", "param", "parameters", "dim", "dims", "dimension", "dimensions", "tokens", "length", "context", "memory", "usage",
    "zero", "shot", "year", "date", "release", "licence", "license", "url", "link", "paper", "source", "note", "notes",
    "comment", "comments", "organisation", "organization", "open", "unnamed", "index", "id", "row", "seed", "seeds", "run", "fold",
    "epoch", "epochs", "step", "steps", "time", "seconds", "runtime", "latency", "speed", "throughput", "cost", "price",
}  # fmt: skip
_SPREADS = {
    "std", "stdev", "stddev", "sd", "stderr", "sem", "se", "var", "variance", "ci", "ci95", "low", "lower", "high", "upper",
}  # fmt: skip
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W_a-zA-Z]+|#")


class _Row(NamedTuple):
    """One row: the line it begins on, and column to cell."""

    line: int
    cells: Mapping[str, str]


class _Cell(NamedTuple):
    """One score as it is written."""

    row: _Row
    task: str
    text: str
    value: float


def read_csv(path: Path, source: str, problems: list[Problem], known: Collection[str] = ()) -> list[ReportedScore]:
    """The scores of a CSV file: one row per score (`model,task,main_score`) or per model (`model,TaskA,TaskB`).

    Scores are fractions of 1, or percent throughout. Columns that are no tasks, such as means and ranks, are left out.

    Args:
        path: UTF-8, comma-separated, with a heading.
        source: What provenance and `problems` call it.
        problems: Grows by one line for each row or column that could not be used, and where a file is in percent.
        known: Names of tasks, which no column of that name can fail to be.

    Raises:
        InputError: The heading names no model, or no score, or a column twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = file.readlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source} cannot be read as CSV ({error}). {TABLES}") from error
    heading, *rows = list(_rows(lines, source, problems)) or [_Row(1, {})]
    heads = list(heading.cells)
    _check_heading(heads, source)
    cells = _long(rows, heads) if "task" in heads else _wide(rows, heads, source, problems, known)
    named = [cell for cell in cells if _is_named(cell, source, problems)]
    return list(_scores(_in_fractions(_tasks_only(named, source, problems, known), source, problems), source, problems))


def _rows(lines: Sequence[str], source: str, problems: list[Problem]) -> Iterator[_Row]:
    """The heading, as a row of its own names, and the rows below that are as long."""
    heads: list[str] = []
    place = 0
    while place < len(lines):
        line, cells, taken = place + 1, *_record(lines, place, len(heads))
        place += taken
        if cells is not None and not any(cell.strip() for cell in cells):
            continue
        if cells is None and not heads:
            raise InputError(f"{source}, line {line}: a quote in the heading is not closed. {TABLES}")
        if not heads and cells is not None:
            heads = [_known_head(cell) for cell in cells]
            yield _Row(line, dict.fromkeys(heads, ""))
            if len(set(heads)) < len(heads):
                twice = next(head for head, count in Counter(heads).items() if count > 1)
                raise InputError(f"{source} has two columns named {twice!r}: remove one, or rename it")
        elif cells is None:
            problems.append(Problem(source, f"line {line}: a quote is not closed, or text follows it: left out"))
        elif len(cells) != len(heads):
            decimal = "; write a decimal point, or put the cell in quotes" if len(cells) > len(heads) else ""
            reason = f"line {line}: {len(cells)} cells under a heading of {len(heads)}: left out{decimal}"
            problems.append(Problem(source, reason))
        else:
            yield _Row(line, dict(zip(heads, (cell.strip() for cell in cells), strict=True)))


def _record(lines: Sequence[str], place: int, width: int) -> tuple[list[str] | None, int]:
    """The cells of the row that begins at a line and the lines that it takes up; None where its quotes do not fit.

    A quote that is never closed would swallow all that follows: then one line is lost and no more.
    """
    for count in range(1, _LONGEST_ROW + 1):
        try:
            (cells,) = csv.reader(["".join(lines[place : place + count])], strict=True)
        except csv.Error as error:
            if "unexpected end of data" not in str(error) or place + count >= len(lines):
                return None, 1
        except ValueError:  # an empty line, or a lone carriage return
            return [], 1
        else:
            return (cells, count) if count == 1 or len(cells) == width else (None, 1)
    return None, 1


def _known_head(text: str) -> str:
    """A heading without the spaces around it; those that this module looks for in its own spelling."""
    name = text.strip()
    return name.lower() if name.lower() in {"model", "task", *_VALUES, *STATED} else name


def _check_heading(heads: Sequence[str], source: str) -> None:
    if "model" not in heads or len(heads) < 2:
        other = next(
            (f", and {mark!r} between the cells" for mark in ";\t" if len(heads) == 1 and mark in heads[0]), ""
        )
        raise InputError(f"{source} has the columns {', '.join(map(repr, heads)) or 'none'}{other}. {TABLES}")
    if "task" in heads and not set(_VALUES) & set(heads):
        raise InputError(f"{source} has no column main_score. {TABLES}")


def _long(rows: Sequence[_Row], heads: Sequence[str]) -> Iterator[_Cell]:
    name = next(head for head in _VALUES if head in heads)
    for row in rows:
        if text := row.cells[name]:  # an empty cell is a score that the table does not have
            yield _Cell(row, row.cells["task"], text, _number(text))


def _wide(
    rows: Sequence[_Row], heads: Sequence[str], source: str, problems: list[Problem], known: Collection[str]
) -> Iterator[_Cell]:
    columns = {
        head: [_Cell(row, head, text, _number(text)) for row in rows if (text := row.cells[head])]
        for head in heads
        if head not in {"model", *STATED}
    }
    left = {head: cells for head, cells in columns.items() if head in known or _may_be_task(head, cells, columns)}
    means = {head for head in left if head not in known and _is_mean(head, left)}
    out = [head for head in columns if head not in left or head in means]
    if filled := [head for head in out if columns[head] or head]:
        problems.append(Problem(source, _left_out(filled, "column")))
    for head, cells in left.items():
        if head not in means:
            yield from cells


def _may_be_task(head: str, cells: Sequence[_Cell], heads: Collection[str]) -> bool:
    """Whether a column may hold scores, by its name and its cells: not if it has no name, counts, or holds words."""
    if _names_no_task(head, ()) or _is_spread(head, heads) or _is_ranking(cells):
        return False
    can_be_score = (abs(cell.value) <= 100 if math.isfinite(cell.value) else _means_number(cell.text) for cell in cells)
    return bool(head) and (not cells or any(can_be_score))


def _tasks_only(cells: Sequence[_Cell], source: str, problems: list[Problem], known: Collection[str]) -> list[_Cell]:
    """Without rows on means and ranks."""
    named = {cell.task for cell in cells}
    no_tasks = {
        name for name in named if _names_no_task(name, known) or (name not in known and _is_spread(name, named))
    }
    out = dict.fromkeys(cell.task for cell in cells if cell.task in no_tasks)
    if out:
        problems.append(Problem(source, _left_out(list(out), "row")))
    return [cell for cell in cells if cell.task not in out]


def _left_out(names: Sequence[str], what: str) -> str:
    verdict = f"not tasks, the {what}s are left out" if len(names) > 1 else f"not a task, the {what} is left out"
    return f"{', '.join(map(repr, names))}: {verdict}"


def _names_no_task(name: str, known: Collection[str]) -> bool:
    """Whether a heading is the name of a mean, a rank, a task type or a fact about the model.

    >>> [_names_no_task(name, ()) for name in ("Mean (TaskType)", "Rank (Borda)", "Params (B)", "STS", "STS12")]
    [True, True, True, True, False]
    """
    words = {word.lower() for word in _WORD.findall(name) if not word.isdecimal()}
    is_type = re.sub(r"[\W_]+", "", name.lower()) in _TYPES
    return name not in known and (is_type or bool(words & _MEANS) or (bool(words) and words <= _FACTS))


def _is_spread(name: str, names: Collection[str]) -> bool:
    """Whether a name is that of another one's standard deviation, error or interval.

    >>> _is_spread("SciFact_std", {"SciFact"}), _is_spread("SciFact (SD)", {"SciFact"}), _is_spread("SciFact_std", {"STS12"})
    (True, True, False)
    """
    plain = re.fullmatch(r"(.+?)[\s_.:-]*\(?([A-Za-z]+(?:95)?)\)?", name)
    return plain is not None and plain[2].lower() in _SPREADS and plain[1].strip() in set(names) - {name}


def _is_ranking(cells: Sequence[_Cell]) -> bool:
    """Whether a column counts its rows: 1, 2, 2, 4 or 1, 2, 2, 3, or 0, 1, 2 from the first row to the last."""
    values = [cell.value for cell in cells]
    if len(values) > 2 and values == [float(place) for place in range(len(values))]:
        return True
    distinct = sorted(set(values))
    skipping = [1.0 + sum(other < value for other in values) for value in distinct]
    return len(distinct) > 1 and distinct in (skipping, [float(place) for place in range(1, len(distinct) + 1)])


def _is_mean(head: str, columns: Mapping[str, Sequence[_Cell]]) -> bool:
    """Whether a column is, row by row, the mean of the others to its last digit, and hardly by chance."""
    others = [name for name in columns if name != head and columns[name]]
    own, *by_line = ({cell.row.line: cell for cell in columns[name]} for name in (head, *others))
    whole = set(own).intersection(*by_line)
    if len(others) < 2 or not whole or len(whole) < len(own):
        return False
    slack = 0.6 * 10.0 ** -max(len(cell.text.partition(".")[2].rstrip(" %")) for cell in own.values())
    chance = 1.0
    for line in whole:
        values = [cells[line].value for cells in by_line]
        if abs(own[line].value - math.fsum(values) / len(values)) > slack:
            return False
        chance *= min(1.0, 2 * slack / max(max(values) - min(values), 1e-9))
    return chance < _BY_CHANCE


def _number(text: str) -> float:
    """A cell as a number, NaN if it is none; 70 % is 0.7."""
    try:
        return round(float(text[:-1]) / 100, 12) if text.endswith("%") else float(text)
    except ValueError:
        return math.nan


def _means_number(text: str) -> bool:
    """Whether a cell that is no number is meant as one: NaN, 0,745 or 7.4.5 is, MIT is not."""
    return (
        text.lower().strip("+-") in {"nan", "inf", "infinity"} or text[:1].isdigit() or text[:2].lstrip("-+.").isdigit()
    )


def _is_named(cell: _Cell, source: str, problems: list[Problem]) -> bool:
    """Whether model, task and value can be used; says why not."""
    model, line = cell.row.cells["model"], cell.row.line
    reason = ""
    if not model or not cell.task or not math.isfinite(cell.value):
        comma = "; write a decimal point" if re.fullmatch(r"[+-]?\d+,\d+%?", cell.text) else ""
        reason = f"model {model!r}, task {cell.task!r}, {cell.text!r:.40} is not a score{comma}"
    elif any(mark in name for mark in '"\n\r' for name in (model, cell.task)):
        reason = f"model {model!r:.60}, task {cell.task!r:.60}: the name contains a quote or a line break"
    if reason:
        problems.append(Problem(source, f"line {line}: {reason}"))
    return not reason


def _in_fractions(cells: Sequence[_Cell], source: str, problems: list[Problem]) -> Iterator[_Cell]:
    """The scores as fractions of 1.

    Most scores settle the unit of the file. One that can only be of the other unit is a problem: 0.8 among percent may be 0.8
    or 80 %.
    """
    large = sum(abs(cell.value) > 1 for cell in cells)
    small = sum(0 < abs(cell.value) <= 1 for cell in cells)
    is_percent = large > small
    if is_percent or any(cell.text.endswith("%") for cell in cells):
        problems.append(Problem(source, "its scores are percent: divided by 100"))
    for cell in cells:
        size = abs(cell.value)
        if size > 100 or (size > 1 and not is_percent):
            reason = "more than 100 %" if is_percent else "more than 1 in a file of fractions of 1"
        elif is_percent and 0 < size <= 1:
            reason = "at most 1 in a file of percent"
        else:
            yield cell._replace(value=round(cell.value / 100, 12)) if is_percent else cell
            continue
        model = cell.row.cells["model"]
        said = f"model {model!r}, task {cell.task!r}, {cell.text!r} is {reason}"
        problems.append(Problem(source, f"line {cell.row.line}: {said}: left out"))


def _scores(cells: Iterator[_Cell], source: str, problems: list[Problem]) -> Iterator[ReportedScore]:
    lines: dict[tuple[str, ...], int] = {}
    for cell in cells:
        facts = {name: cell.row.cells[name] for name in STATED if cell.row.cells.get(name)}
        score = ReportedScore(cell.row.cells["model"], cell.task, cell.value, source, **facts)
        place = (score.model, score.task, score.revision, score.split, score.subset)
        first = lines.setdefault(place, cell.row.line)
        if first != cell.row.line:
            said = f"{score.model} has a score on {score.task} on line {first} already"
            problems.append(Problem(source, f"line {cell.row.line}: {said}: left out"))
            continue
        yield score
