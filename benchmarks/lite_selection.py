"""Chooses the tasks of a cheap benchmark so that it ranks models as the whole one does.

`GenZoo(lite, v1)` was chosen with this from published scores; a test repeats the choice where those scores are at hand. The
agreement that decides is in-sample, by the mean of the types, and between a part and the whole that holds it; the benchmark's
description says what is left of it by Mean (task), against the other tasks and among the best models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from mteb.abstasks import AbsTask


@dataclass(frozen=True)
class Choice:
    """A subset of tasks.

    Attributes:
        tasks: Their names, in the benchmark's order.
        cost: Share of the whole benchmark's cost, in [0, 1].
        agreement: Kendall's tau-b between the models' ranks on the subset and on the whole, in [-1, 1].
    """

    tasks: tuple[str, ...]
    cost: float
    agreement: float


def mean_by_type(scores: pd.DataFrame, types: Mapping[str, str]) -> pd.Series[float]:
    """Mean of the means of each task type, for each model (row); higher is better."""
    by_type = scores.T.groupby(lambda task: types[task]).mean()
    return by_type.mean()


def choose(
    scores: pd.DataFrame, types: Mapping[str, str], cost: Mapping[str, float], budget: float = 0.1, beam: int = 5
) -> Choice:
    """Search for the subset that agrees best, with every type in it and within the budget.

    Args:
        scores: Models (rows) by tasks (columns), without gaps.
        types: Task -> type.
        cost: Task -> cost, in any unit.
        budget: Largest share of the whole cost.
        beam: How many subsets of each size are followed; a beam search, since there are 2**41.
    """
    whole = mean_by_type(scores, types)
    total = sum(cost[task] for task in scores)
    share = {task: cost[task] / total for task in scores}
    kinds = sorted({types[task] for task in scores})
    # one task of each type first, then any
    kept: list[tuple[str, ...]] = [()]
    best: tuple[float, tuple[str, ...]] = (-1.0, ())
    for step in range(len(scores.columns)):
        grown = {
            tuple(sorted((*subset, task)))
            for subset in kept
            for task in scores
            if task not in subset and (step >= len(kinds) or types[task] == kinds[step])
        }
        affordable = [subset for subset in grown if sum(share[task] for task in subset) <= budget]
        if not affordable:
            break
        ranked = sorted(((agreement(scores[list(s)], whole, types), s) for s in affordable), reverse=True)[:beam]
        kept = [subset for _, subset in ranked]
        if step >= len(kinds) - 1 and ranked[0][0] > best[0]:
            best = ranked[0]
    tasks = tuple(task for task in scores if task in best[1])
    return Choice(tasks, sum(share[task] for task in tasks), best[0])


def agreement(part: pd.DataFrame, whole: pd.Series[float], types: Mapping[str, str]) -> float:
    """Kendall's tau-b between the ranks that a part of the tasks gives and those of the whole."""
    from scipy.stats import kendalltau

    return float(kendalltau(mean_by_type(part, types), whole).statistic)


def cross_validated(
    scores: pd.DataFrame,
    types: Mapping[str, str],
    cost: Mapping[str, float],
    *,
    repeats: int = 5,
    seed: int = 0,
    **how: Any,
) -> list[float]:
    """Agreement on models that the choice did not see: choose on one half of the models, measure on the other."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        order = rng.permutation(len(scores))
        seen, unseen = scores.iloc[order[: len(order) // 2]], scores.iloc[order[len(order) // 2 :]]
        tasks = list(choose(seen, types, cost, **how).tasks)
        found.append(agreement(unseen[tasks], mean_by_type(unseen, types), types))
    return found


def score_table(rows: pd.DataFrame, tasks: Sequence[AbsTask]) -> pd.DataFrame:
    """Published rows (`model`, `task`, `split`, `subset`, `main_score`) -> models by tasks, whole rows only."""
    wanted = pd.DataFrame(
        [(t.metadata.name, split, subset) for t in tasks for split in t.eval_splits for subset in t.hf_subsets],
        columns=["task", "split", "subset"],
    )
    found = rows.merge(wanted, on=["task", "split", "subset"])
    table = found.pivot_table(index="model", columns="task", values="main_score")
    return table.reindex(columns=[t.metadata.name for t in tasks]).dropna()
