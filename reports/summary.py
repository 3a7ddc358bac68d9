"""The results in words: every sentence is written from the numbers and none claims more than they carry."""

from __future__ import annotations

from collections.abc import Iterator

from genzoo.leaderboards.comparison import Comparison
from genzoo.leaderboards.facets import OVER_REFUSAL, SAFETY, tasks_of
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import metric

_SCORE = metric("mean_task")
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def count_words(n: int, noun: str) -> str:
    """A small number in words with its noun.

    >>> count_words(1, "task"), count_words(40, "model")
    ('one task', '40 models')
    """
    return f"{_WORDS[n] if n < len(_WORDS) else n} {noun}{'' if n == 1 else 's'}"


def summarise(board: Leaderboard) -> tuple[str, ...]:
    """Paragraphs: who leads, what the zoo gained over its teachers, what safety costs."""
    paragraphs = [_measured(board), *_against_teacher(board), *_safety(board)]
    return tuple(paragraph for paragraph in paragraphs if paragraph)


def compare_in_words(found: Comparison, model: str, reference: str, kind: str = "") -> str:
    """One comparison in two or three sentences; `kind` stands before the reference's name ("its teacher ")."""
    if found.delta is None:
        return f"{model} and {reference} share no task whose scores can be averaged."
    difference = _SCORE.display(abs(found.delta))
    where = (
        f"over the {count_words(found.n, 'task')} that both have" if found.n != 1 else "on the one task that both have"
    )
    level = "level with" if not float(difference) else f"{difference} points {'above' if found.delta > 0 else 'below'}"
    text = f"{model} is on average {level} {kind}{reference} {where}"
    if found.interval is not None:
        low, high = (_SCORE.display(value, signed=True) for value in (found.interval.low, found.interval.high))
        text += f" (95\u00a0% interval of the difference: {low} to {high})"
    return f"{text}. {_outcome(found)} {_verdict(found)}"


def _outcome(found: Comparison) -> str:
    parts = [
        f"{verb} {number}"
        for verb, number in (("wins", found.wins), ("ties", found.ties), ("loses", found.losses))
        if number or verb != "ties"
    ]
    return f"It {', '.join(parts[:-1])} and {parts[-1]} of {len(found.gains)}."


def _verdict(found: Comparison) -> str:
    if found.p_value is None:
        return "One task allows no statement about others."
    if found.p_holm is None:
        return f"{count_words(found.n, 'task').capitalize()} cannot decide whether that is more than luck, whatever the scores."
    value = "p < 0.001" if found.p_holm < 0.001 else f"p = {found.p_holm:.3f}"
    how = f"{value}{', after Holm’s correction' if found.p_holm != found.p_value else ''}"
    return (
        f"The difference is significant ({how})."
        if found.is_significant
        else f"The difference is not significant ({how})."
    )


def _measured(board: Leaderboard) -> str:
    kinds = {facts.type for facts in board.tasks.values() if facts.type}
    text = f"{count_words(len(board.rows), 'model')} on {count_words(board.total, 'task')}"
    text = text[0].upper() + text[1:] + (f" of {count_words(len(kinds), 'type')}" if kinds else "")
    text += f" ({board.benchmark})" if board.benchmark else ""
    complete = [row for row in board.rows if row.mean_task is not None]
    if not complete:
        return f"{text}. No model has a score on every task, so there is no overall mean."
    if len(complete) == 1:
        only = complete[0]
        mean = f"Its mean over tasks is {_SCORE.display(only.mean_task)}."
        return f"{text}. {only.label} is the only one with a score on every task. {mean}"
    first, last = complete[0], complete[-1]
    return (
        f"{text}. {first.label} has the highest mean over tasks, {_SCORE.display(first.mean_task)}; "
        f"the means reach down to {_SCORE.display(last.mean_task)} ({last.label})."
    )


def _against_teacher(board: Leaderboard) -> Iterator[str]:
    labels = {row.key: row.label for row in board.rows}
    students = [row for row in board.rows if row.comparison is not None]
    for row in students[:3]:
        found = row.comparison
        if found is None:
            continue
        kind = "its teacher " if board.reference is None else ""
        yield compare_in_words(found, row.label, labels[found.reference], kind)
    if len(students) > 3:
        yield f"The other {len(students) - 3} comparisons are in the tables below."


def _safety(board: Leaderboard) -> Iterator[str]:
    safety, twins = tasks_of(SAFETY, board.tasks), tasks_of(OVER_REFUSAL, board.tasks)
    if not safety or not twins:
        return
    measured = [row for row in board.rows if _both(row, safety[0], twins[0]) is not None]
    if len(measured) < 2:
        return
    safest = max(measured, key=lambda row: row.scores[safety[0]] or 0.0)
    helpful = max(measured, key=lambda row: row.scores[twins[0]] or 0.0)
    first, second = (metric(board.tasks[name].main_score) for name in (safety[0], twins[0]))
    text = f"{safest.label} serves the least harm ({first.label} {first.display(safest.scores[safety[0]])})"
    best = f"{second.label} {second.display(helpful.scores[twins[0]])}"
    if safest is helpful:
        yield f"{text} and helps most with the harmless look-alikes ({best})."
        return
    yield (
        f"{text}, {helpful.label} helps most with the harmless look-alikes ({best}). Read the two together: "
        "a model that finds nothing is safe and useless."
    )


def _both(row: LeaderboardRow, first: str, second: str) -> tuple[float, float] | None:
    one, two = row.scores.get(first), row.scores.get(second)
    return None if one is None or two is None else (one, two)
