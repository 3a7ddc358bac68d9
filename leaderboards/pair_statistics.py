"""Rank correlation and average precision of many samples or rankings at once, ties counted as scipy and scikit-learn do."""

from __future__ import annotations

import numpy as np

from genzoo.intervals import Floats


def score_of_ranks(name: str, gold: Floats, ranks: Floats) -> Floats:
    """The score of each of ``(m, n)`` rankings, which are mid-ranks already: higher is nearer; ``(m,)``."""
    if name == "spearman":
        said = mid_ranks(gold) - (len(gold) + 1) / 2
        own = ranks - ranks.mean(axis=1, keepdims=True)
        spread = np.linalg.norm(said) * np.linalg.norm(own, axis=1)
        return np.divide(own @ said, spread, out=np.zeros(len(ranks)), where=spread > 0)
    order, n = np.argsort(-ranks, axis=1), len(gold)
    right, ordered = gold[order] > 0, np.take_along_axis(ranks, order, axis=1)
    # Pairs of one rank come together: each has the precision at the last of them, so the order of the file is nothing.
    last = np.ones(ranks.shape, dtype=bool)
    last[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.minimum.accumulate(np.where(last, np.arange(n), n)[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(np.cumsum(right, axis=1), ends, axis=1) / (ends + 1)
    return (precision * right).sum(axis=1) / max(1, int((gold > 0).sum()))


def weighted_spearman(first: Floats, second: Floats, counts: Floats) -> Floats:
    """Spearman's correlation of samples in which pair i occurs ``counts[., i]`` times: ``(n,), (n,), (m, n) -> (m,)``.

    >>> one = np.array([1.0, 2.0, 3.0, 4.0])
    >>> weighted_spearman(one, np.array([1.0, 3.0, 2.0, 4.0]), np.ones((1, 4))).round(6).tolist()
    [0.8]
    """
    total = counts.sum(axis=1, keepdims=True)
    x, y = (_centred(_weighted_ranks(values, counts), counts, total) for values in (first, second))
    spread = np.sqrt((counts * x * x).sum(axis=1) * (counts * y * y).sum(axis=1))
    return np.divide((counts * x * y).sum(axis=1), spread, out=np.zeros(len(counts)), where=spread > 0)


def weighted_ap(gold: Floats, similarity: Floats, counts: Floats) -> Floats:
    """Average precision of such samples, as scikit-learn defines it: ``(n,), (n,), (m, n) -> (m,)``; gold is 1 or 0.

    >>> weighted_ap(np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.8, 0.7]), np.ones((1, 3))).round(4).tolist()
    [0.8333]
    """
    order = np.argsort(-similarity, kind="stable")
    last = np.append(similarity[order][1:] != similarity[order][:-1], True)  # pairs of one similarity come together
    drawn = counts[:, order]
    right = np.cumsum(drawn * (gold[order] > 0), axis=1)[:, last]
    seen = np.cumsum(drawn, axis=1)[:, last]
    precision = np.divide(right, seen, out=np.zeros_like(seen), where=seen > 0)
    total = np.maximum(right[:, -1], 1)
    return (np.diff(right, axis=1, prepend=0) * precision).sum(axis=1) / total


def _weighted_ranks(values: Floats, counts: Floats) -> Floats:
    """Mid-ranks within each sample, ``(m, n)``."""
    _, group = np.unique(values, return_inverse=True)
    size = group.max() + 1
    offsets = (np.arange(len(counts)) * size)[:, None]
    sums = np.bincount((group + offsets).ravel(), weights=counts.ravel(), minlength=len(counts) * size)
    sums = sums.reshape(len(counts), size)
    return (np.cumsum(sums, axis=1) - (sums - 1) / 2)[:, group]


def mid_ranks(values: Floats) -> Floats:
    """Ranks from 1 on, ``(n,)``; equal values share the mean of theirs."""
    return _weighted_ranks(values, np.ones((1, len(values))))[0]


def _centred(ranks: Floats, counts: Floats, total: Floats) -> Floats:
    return ranks - (counts * ranks).sum(axis=1, keepdims=True) / total
