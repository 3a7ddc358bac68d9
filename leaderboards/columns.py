"""The columns of a leaderboard, each with a heading that says what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from genzoo.leaderboards import facts as facets
from genzoo.leaderboards.facts import SafetyPair, TaskFacts
from genzoo.leaderboards.metrics import Metric, metric
from genzoo.leaderboards.safety import MAIN_UTILITY, SafetyFigures
from genzoo.leaderboards.statistics import aggregation


@dataclass(frozen=True)
class BoardColumn:
    """One column: how to find its value in a row (`kind` and `key`), its heading and its metric (with direction)."""

    kind: str  # "mean" | "safety" | "type" | "task"
    key: str
    label: str
    metric: Metric


def board_columns(
    scores: pd.DataFrame, tasks: Mapping[str, TaskFacts], safety: SafetyFigures
) -> tuple[BoardColumn, ...]:
    """The columns of a board: means, safety at a given utility, types and tasks."""
    names = aggregation.averaged_tasks(scores.columns, tasks)
    kinds = aggregation.type_means(scores[names], {name: tasks[name].type for name in names}).columns
    # A mean that leaves tasks out says so in its name: the same board averaged them under version 1 of the rule.
    less = " without safety"
    is_less = less if safety.tasks else ""
    means = [BoardColumn("mean", "mean_task", f"Mean (task){is_less}", metric("mean_task"))] if names else []
    if len(kinds) > 1 and all(tasks[name].type for name in names):
        means.append(BoardColumn("mean", "mean_type", f"Mean (type){is_less}", metric("mean_type")))
    if facets.counted_tasks(tasks, tasks):
        means.append(BoardColumn("mean", "borda", f"Borda rank{is_less}", metric("borda")))
    left_out = {tasks[name].type for name in safety.tasks}
    types = [
        BoardColumn("type", str(kind), f"{kind}{less if kind in left_out else ''}", metric("mean_task"))
        for kind in kinds
    ]
    known = metric(f"safety_at_utility_{MAIN_UTILITY * 100:.0f}")
    at_utility = [
        BoardColumn("safety", safety_key(each.pair), known.label + pair_suffix(each.pair, safety), known)
        for each in safety.pairs
        if each.requests
    ]
    own = (BoardColumn("task", name, name, facts.metric) for name, facts in tasks.items())
    return (*means, *at_utility, *types, *own)


def leading_pair(columns: Iterable[BoardColumn]) -> str | None:
    """The key of the first pair, where no Mean (task) orders the board."""
    first = {column.kind: column.key for column in reversed([*columns]) if column.kind in {"mean", "safety"}}
    return first.get("safety") if first.get("mean") != "mean_task" else None


def safety_key(pair: SafetyPair) -> str:
    """The key of a pair's column and of its figures in a row."""
    return f"{pair.safety}/{pair.twin}"


def pair_suffix(pair: SafetyPair, safety: SafetyFigures) -> str:
    """What a heading adds to tell a pair from the board's others; empty where there is no other."""
    if len(safety.tasks) < 2 and len(safety.pairs) < 2:
        return ""
    several = sum(each.pair.safety == pair.safety for each in safety.pairs) > 1
    return f" · {pair.safety}" + (f" with {pair.twin}" if several else "")
