"""The results in words: every sentence is written from the numbers and none claims more than they carry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from genzoo.leaderboards.comparison import Comparison
from genzoo.leaderboards.facts import SafetyPair
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import metric
from genzoo.leaderboards.safety import MAIN_UTILITY, SafetyAt
from genzoo.reports.chapters.operating_table import at_utility, interval_in_words

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
        # It may leave zero out where the tasks cannot decide: then the reader is owed what it rests on.
        given = "" if found.can_decide else ", if the differences of tasks are normally distributed"
        text += f" (95\u00a0% interval of the difference{given}: {low} to {high})"
    return f"{text}. {_outcome(found)} {_verdict(found)}"


def _outcome(found: Comparison) -> str:
    parts = [
        f"{verb} {number}"
        for verb, number in (("wins", found.wins), ("ties", found.ties), ("loses", found.losses))
        if number or verb != "ties"
    ]
    return f"It {', '.join(parts[:-1])} and {parts[-1]} of {len(found.gains)}."


def _verdict(found: Comparison) -> str:
    if found.is_equal:
        return "Their scores are the same on every one of these tasks."
    if found.n < 2:
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
    if not board.has_mean:
        why = (
            "all of them measure safety or are the harmless twin of one that does"
            if board.safety.tasks
            else "none can be averaged"
        )
        return f"{text}. There is no mean over these tasks: {why}."
    complete = [row for row in board.rows if row.mean_task is not None]
    if not complete:
        return f"{text}. No model has a score on every task that counts, so there is no overall mean."
    but_safety = " without safety" if board.safety.tasks else ""
    if len(complete) == 1:
        only = complete[0]
        mean = f"Its mean over tasks{but_safety} is {_SCORE.display(only.mean_task)}."
        return f"{text}. {only.label} is the only one with a score on every task that counts. {mean}"
    first, last = complete[0], complete[-1]
    highest = _SCORE.display(first.mean_task)
    leaders = [row.label for row in complete if row.mean_task == first.mean_task]
    if len(leaders) == len(complete):
        every = "Both means" if len(complete) == 2 else f"All {count_words(len(complete), 'mean')}"
        return f"{text}. {every} over tasks{but_safety} are {highest}."
    have = (
        f"{_listed(leaders)} {'have' if len(leaders) > 1 else 'has'} the highest mean over tasks{but_safety}, {highest}"
    )
    return f"{text}. {have}; the means reach down to {_SCORE.display(last.mean_task)} ({last.label})."


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
    for pair in board.safety.pairs:
        found = {row.label: each for row in board.rows if (each := pair.at(row.key)) is not None}
        if len(found) > 1:
            yield _at_utility(pair.pair, found)
        elif not found:
            yield (
                f"Which model is safer at the same utility on {pair.pair.safety} is not known: that needs predictions of it and of "
                f"{pair.pair.twin}, and a model that finds nothing is perfectly safe."
            )


def _at_utility(pair: SafetyPair, found: Mapping[str, SafetyAt]) -> str:
    """Who serves the least harm while most of the harmless requests are still answered, and who cannot answer as many."""
    in_reach = {label: each for label, each in found.items() if each.point is not None}
    out = [label for label in found if label not in in_reach]
    text = f"While {MAIN_UTILITY * 100:.0f}\u00a0% of the harmless requests of {pair.twin} are answered, "
    if in_reach:
        ranked = sorted(in_reach, key=lambda label: in_reach[label].safety, reverse=True)
        most, fewest = in_reach[ranked[0]], in_reach[ranked[-1]]
        safest, least = (
            {label: in_reach[label] for label in ranked if math.isclose(in_reach[label].safety, end.safety)}
            for end in (most, fewest)
        )
        keep = f"{_listed([*safest])} {'keep' if len(safest) > 1 else 'keeps'} back"
        if safest == least:
            text += f"{keep} {_shares(safest)} of the harmful ones of {pair.safety}. "
        else:
            text += f"{keep} the most harmful requests of {pair.safety}: {_shares(safest)}; "
            text += f"{_listed([*least])} the fewest: {_shares(least)}. "
    else:
        text += f"nothing can be said of the harmful ones of {pair.safety}. "
    if out:
        text += f"That many are out of reach for {_listed(out)}: the worst result, however little harm they serve."
    return text.strip()


def _listed(names: Sequence[str]) -> str:
    """A few names, and how many more there are.

    >>> _listed(["a", "b"]), _listed(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    shown = [*names[:3], f"{len(names) - 3} more"] if len(names) > 3 else [*names]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _shares(found: Mapping[str, SafetyAt]) -> str:
    """The share that some models have in common; its interval where they have that in common too."""
    first, *others = found.values()
    if not others:
        return _share(first)
    is_one = len({_share(each) for each in found.values()}) == 1
    return f"{_share(first, has_interval=is_one)} each"


def _share(found: SafetyAt, *, has_interval: bool = True) -> str:
    interval = interval_in_words(found) if has_interval else ""
    text = f"{at_utility(found.utility).display(found.safety)}\u00a0%"
    return f"{text} (95\u00a0% interval {interval})" if interval else text


def compare_safety(board: Leaderboard, model: LeaderboardRow, reference: LeaderboardRow) -> Iterator[str]:
    """A sentence for each safety task with a twin: what the two models keep back at the same utility."""
    for pair in board.safety.pairs:
        two = [(row.label, found) for row in (model, reference) if (found := pair.at(row.key)) is not None]
        if len(two) < 2:
            continue
        parts = [
            f"{label} keeps back {_share(found)}" if found.point else f"{label} cannot answer that many, which is worse"
            for label, found in two
        ]
        text = (
            f"How many of the harmful requests of {pair.pair.safety} find nothing while {MAIN_UTILITY * 100:.0f}\u00a0% of the "
            f"harmless ones of {pair.pair.twin} are answered: {', '.join(parts)}."
        )
        gap = pair.difference(model.key, reference.key)
        if gap is not None and all(found.point for _, found in two):
            delta, low, high = (_SCORE.display(value, signed=True) for value in gap)
            text += f" The difference is {delta} points (95\u00a0% interval {low} to {high}, paired over the requests)."
        yield text
