"""What labelled texts hold: their labels, and what would make a score too good, too bad or meaningless."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genzoo.duplicates import Texts, resemblance
from genzoo.tasks.checking.findings import DataFinding, counted
from genzoo.tasks.checking.texts import find_repeated, repeated_findings
from genzoo.text import plural

FEW_ROWS = 100
"""Fewer rows are a caution: the 95 % interval of a share is then some twenty points wide, and more."""
TRAIN = "train"
_EXAMPLES_OF_A_LABEL = 8  # that mteb draws to train a classifier
_TOLD = 8  # labels or scores that are listed one by one


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        texts: The texts, one column, or two of pairs.
        labels: A label or score for each row.
    """

    texts: tuple[Texts, ...]
    labels: Sequence[str | float | int]


def labelled_findings(kind: str, splits: Mapping[str, Split], measured: Sequence[str]) -> Iterator[DataFinding]:
    """All findings on labelled texts but those on lengths and languages.

    Args:
        kind: mteb's type: STS, PairClassification, Classification or Clustering.
        splits: Those that are measured, and ``train`` where a classifier is trained on it.
        measured: Those that are measured.
    """
    for name in measured:
        split = splits[name]
        if 0 < len(split.labels) < FEW_ROWS:
            said = f"only {plural(len(split.labels), 'row')} in {name}: too few to tell models apart that are close"
            yield DataFinding("few-rows", "texts", said, "caution", len(split.labels), len(split.labels))
        yield from _pairs(kind, name, split) if len(split.texts) == 2 else _singles(kind, name, split)
        if TRAIN in splits and name != TRAIN:
            yield from _against_training(name, split, splits[TRAIN])


def _pairs(kind: str, name: str, split: Split) -> Iterator[DataFinding]:
    """Pairs of texts with a similarity or a label."""
    labels = np.asarray(split.labels, float)
    firsts, seconds = ([_plain(text) for text in column[:]] for column in split.texts)
    if kind == "STS":
        said = f"scores in {name} from {labels.min():g} to {labels.max():g}, {labels.mean():.3g} in the mean"
        yield DataFinding("scores", "labels", said, count=len(labels), total=len(labels))
    else:
        yield from _label_counts(name, [str(int(label)) for label in labels])
    n, same = len(labels), np.array([first == second for first, second in zip(firsts, seconds, strict=True)])
    if same.any():
        what = f"pairs in {name} are twice the same text, which every model gets right"
        yield counted("same-text-pairs", "texts", int(same.sum()), n, what, _rows(np.flatnonzero(same)))
        low = same & (labels < labels.max())
        if low.any():
            what = f"pairs in {name} are twice the same text and do not have the highest label"
            yield counted("contradicting-labels", "labels", int(low.sum()), n, what, _rows(np.flatnonzero(low)))
    pairs = pd.Series(["\0".join(sorted(pair)) for pair in zip(firsts, seconds, strict=True)])
    again = np.flatnonzero(pairs.duplicated())
    if len(again):
        yield counted("duplicates", "texts", len(again), n, f"pairs in {name} repeat an earlier one", _rows(again))
    if kind == "PairClassification":
        yield from _words_alone(name, split, labels)


def _words_alone(name: str, split: Split, labels: np.ndarray) -> Iterator[DataFinding]:
    """How well the share of common words alone tells the pairs apart."""
    from sklearn.metrics import average_precision_score

    if len(set(labels.tolist())) == 2:
        score = average_precision_score(labels == labels.max(), resemblance(split.texts[0][:], split.texts[1][:]))
        said = f"words in common alone reach an average precision of {score:.3f} in {name}: what is above counts as meaning"
        yield DataFinding("words-alone", "labels", said, count=len(labels), total=len(labels))


def _singles(kind: str, name: str, split: Split) -> Iterator[DataFinding]:
    """Texts with a class or a cluster."""
    (texts,), labels = split.texts, np.asarray(split.labels, object)
    yield from _label_counts(name, labels.tolist())
    counts = pd.Series(labels).value_counts()
    if kind == "Clustering" and (counts == 1).any():
        lonely = counts.index[counts == 1]
        what = f"labels in {name} have one text alone, which no clustering can find"
        yield counted("single-texts", "labels", len(lonely), len(counts), what, list(lonely[:3]))
    repeated = find_repeated(texts)
    yield from repeated_findings(repeated, "texts", lambda place: f"row {place + 1}")
    differ = np.flatnonzero(labels != labels[repeated.first])
    if len(differ):
        what = f"texts in {name} have another label than the same text before them"
        yield counted("contradicting-labels", "labels", len(differ), len(labels), what, _rows(differ))


def _against_training(name: str, split: Split, training: Split) -> Iterator[DataFinding]:
    """What the training split has that the measured one has too, and what it lacks."""
    counts = pd.Series(list(training.labels)).value_counts()
    thin = counts.index[counts < _EXAMPLES_OF_A_LABEL]
    if len(thin):
        what = (
            f"labels have fewer than {_EXAMPLES_OF_A_LABEL} examples in {TRAIN}, as many as a classifier is trained on"
        )
        yield counted("thin-labels", "labels", len(thin), len(counts), what, list(thin[:3]))
    for texts, seen in zip(split.texts, training.texts, strict=True):
        known = {_plain(text) for text in seen[:]}
        again = np.array([place for place, text in enumerate(texts[:]) if _plain(text) in known], int)
        if len(again):
            what = f"texts in {name} are in {TRAIN} too: a classifier has seen them"
            yield counted("seen-in-training", "texts", len(again), len(texts), what, _rows(again))


def _label_counts(name: str, labels: Sequence[str]) -> Iterator[DataFinding]:
    counts = pd.Series(list(labels)).value_counts()
    listed = ", ".join(f"{label}: {count:,}" for label, count in counts.items())
    if len(counts) > _TOLD:
        listed = f"{counts.iloc[-1]:,} to {counts.iloc[0]:,} rows each"
    yield DataFinding(
        "labels", "labels", f"{plural(len(counts), 'label')} in {name}, {listed}", count=len(counts), total=len(labels)
    )
    if counts.iloc[0] / len(labels) >= 0.5:
        what = f"rows in {name} have the label {counts.index[0]!r}: a model that always says so has this share right"
        yield counted("largest-label", "labels", int(counts.iloc[0]), len(labels), what)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _rows(places: np.ndarray) -> list[str]:
    return [f"row {place + 1}" for place in places[:3].tolist()]
