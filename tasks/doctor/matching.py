"""Which variant of a model explains vectors that were made elsewhere, by the distance of unit vectors, text by text.

Measured with smollm2-135m on a CPU, as the largest distance on a few texts: float16 0.006 and bfloat16 0.05, which count as the
same embedding; a prompt without its blank 0.06 to 0.26, no prompt 0.24 to 0.65, line breaks replaced by blanks 0.33 to 0.40.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from genzoo.backbones.precision import damped
from genzoo.tasks.doctor.variants import PROMPTS, RIGHT, ReferenceModel, Variant, variants
from genzoo.tasks.embedders.endpoint_fingerprint import unit

SAME = 0.01
"""Distance up to which nothing else is tried: float32 and float16."""
NEAR = 0.4
"""Distance up to which a variant may be meant although none agrees: weights of 8 bits, with one scale for each row of a matrix."""
_CLEARER = 1.25  # how much farther away the next one must then be
_MOST = 4  # variants that one side may mix
_SAMPLED, _TOKENS = 8, 250  # texts, and their tokens together, that every variant is computed for
_CUT = 2  # texts that are tried at other limits
FULL, EIGHT_BITS, ONE_BIT = "", "8 bits", "1 bit"
_FEWEST = {FULL: 3, ONE_BIT: 3, EIGHT_BITS: 5}
AGREES = {FULL: 0.1, EIGHT_BITS: 0.3, ONE_BIT: 0.45}
"""Precision of the numbers -> distance up to which two embeddings count as the same one."""


@dataclass(frozen=True)
class Answers:
    """Texts of one side and the vectors `(texts, width)` that were made of them elsewhere.

    Attributes:
        precision: ``FULL``, ``EIGHT_BITS`` or ``ONE_BIT``; vectors of one bit a number are -1 and 1.
        axis: ``(D,)``: along which a content policy of the model moves refused queries (`genzoo.backbones.precision.damped`).
    """

    side: str
    texts: tuple[str, ...]
    vectors: np.ndarray
    precision: str = FULL
    axis: np.ndarray | None = None

    @classmethod
    def of(cls, side: str, texts: Sequence[str], vectors: np.ndarray, model: ReferenceModel) -> Answers:
        """Recognise numbers that were rounded, as sentence-transformers' ``quantize_embeddings`` rounds them.

        Args:
            side: ``query`` or ``document``.
            texts: The texts.
            vectors: Their vectors, as they came.
            model: What they should be of.
        """
        found = np.asarray(vectors, dtype=np.float64)
        is_whole = (
            bool(found.size) and bool((found == np.round(found)).all()) and -128 <= found.min() <= found.max() < 256
        )
        if is_whole and found.max() <= 1 and found.min() >= -1:
            return cls(side, tuple(texts), np.where(found > 0, 1.0, -1.0), ONE_BIT)
        if is_whole and 8 * found.shape[1] in model.widths:
            bits = np.unpackbits((found + 128 * (found.min() < 0)).astype(np.uint8), axis=1)
            return cls(side, tuple(texts), bits * 2.0 - 1.0, ONE_BIT)
        return cls(side, tuple(texts), found, EIGHT_BITS if is_whole else FULL, model.policy_axis)

    @property
    def tolerance(self) -> float:
        """Distance up to which a vector counts as the same."""
        return AGREES[self.precision]

    def part(self, rows: Sequence[int]) -> Answers:
        """Some of the texts."""
        return replace(self, texts=tuple(self.texts[row] for row in rows), vectors=self.vectors[list(rows)])

    def distances(self, rows: Sequence[int], ours: np.ndarray) -> np.ndarray:
        """Distances of the unit vectors of some rows from a model's; a longer embedding of the model is cut to the same width."""
        theirs = self.vectors[list(rows)]
        if theirs.shape[1] > ours.shape[1]:
            return np.full(len(theirs), np.inf)
        ours = ours[:, : theirs.shape[1]].astype(np.float64)
        if self.precision == ONE_BIT:
            ours = np.where(ours > 0, 1.0, -1.0)
        one, other = (unit(damped(unit(vectors), self.axis)) for vectors in (theirs, ours))
        found = np.linalg.norm(one - other, axis=1)
        if self.precision == EIGHT_BITS and len(rows) >= _FEWEST[EIGHT_BITS]:  # each number may have a range of its own
            scaled = np.linalg.norm(unit(_standard(theirs)) - unit(_standard(ours)), axis=1)
            found = np.minimum(found, scaled)
        return found


@dataclass(frozen=True)
class Match:
    """Some texts of a side, and the variant that made their vectors; None where no known one did.

    Attributes:
        distance: The largest of any of these texts.
        is_near: Whether the variant does not agree, yet is clearly the nearest one.
    """

    rows: tuple[int, ...]
    variant: Variant | None = None
    distance: float = float("nan")
    is_near: bool = False


def explain(model: ReferenceModel, answers: Answers) -> list[Match]:
    """Find the variants that made some vectors: one that explains all of them where there is such a one.

    Returns:
        Together they name every text once. Texts without an explanation come last.
    """
    everything, search = range(len(answers.texts)), _Search(model, answers)
    gaps = search.distances(RIGHT, everything)
    if (gaps <= SAME).all():
        return [Match(tuple(everything), RIGHT, float(gaps.max()))]
    right = [row for row in everything if gaps[row] <= answers.tolerance]
    left = [row for row in everything if row not in right] or list(everything)
    found = [Match(tuple(right), RIGHT, float(gaps[right].max()))] if 0 < len(right) < len(everything) else []
    while left and len(found) < _MOST:
        variant, tolerance = search.best(left, {match.variant.prompt for match in found if match.variant})
        if variant is None:
            break
        gaps = search.distances(variant, everything)
        is_near = tolerance > answers.tolerance
        if (gaps <= tolerance).all():
            return [Match(tuple(everything), variant, float(gaps.max()), is_near)]
        rows = [row for row in left if gaps[row] <= tolerance]
        found.append(Match(tuple(rows), variant, float(gaps[rows].max()), is_near))
        left = [row for row in left if row not in rows]
    return [*found, Match(tuple(left))] if left else found


class _Search:
    """Tries variants on a few texts."""

    def __init__(self, model: ReferenceModel, answers: Answers) -> None:
        self._model, self._answers = model, answers
        self._lengths = [model.n_tokens(answers.side, text) for text in answers.texts]

    def distances(self, variant: Variant, rows: Sequence[int]) -> np.ndarray:
        """How far the vectors of some rows are from a variant's."""
        texts = [self._answers.texts[row] for row in rows]
        return self._answers.distances(rows, self._model.embed(variant, self._answers.side, texts))

    def best(self, rows: Sequence[int], prompts: set[str]) -> tuple[Variant | None, float]:
        """The variant that explains most of some rows, and the distance up to which it explains one.

        Args:
            rows: What is not explained yet.
            prompts: Those of the variants that explain the other rows: with these alone other limits are tried.
        """
        sample, tolerance = self._sample(rows), self._answers.tolerance
        tried = variants()
        gaps = np.stack([self.distances(variant, sample) for variant in tried])
        near = self._nearest(tried, gaps)
        if (variant := _most(tried, gaps, tolerance)) is not None:
            return variant, tolerance
        for limit in self._model.other_limits(max(self._lengths[row] for row in sample[:_CUT])):
            tried = variants(sorted(prompts) or tuple(PROMPTS), limit)
            gaps = np.stack([self.distances(variant, sample[:_CUT]) for variant in tried])
            if (variant := _most(tried, gaps, tolerance)) is not None:
                return variant, tolerance
        return near, NEAR

    def _sample(self, rows: Sequence[int]) -> list[int]:
        """The shortest texts: they cost least, and nothing of them is cut."""
        chosen, fewest = list[int](), _FEWEST[self._answers.precision]
        for row in sorted(rows, key=self._lengths.__getitem__)[:_SAMPLED]:
            if len(chosen) >= fewest and sum(self._lengths[each] for each in chosen) + self._lengths[row] > _TOKENS:
                break
            chosen.append(row)
        return chosen

    def _nearest(self, tried: Sequence[Variant], gaps: np.ndarray) -> Variant | None:
        """The variant that is meant although it does not agree: no other is nearly as near."""
        means = gaps.mean(axis=1)
        nearest = tried[int(means.argmin())]
        kind = (nearest.prompt, nearest.pooling, nearest.projection)
        others = [
            float(mean)
            for variant, mean in zip(tried, means, strict=True)
            if (variant.prompt, variant.pooling, variant.projection) != kind and mean > means.min()
        ]
        is_clear = self._answers.precision == FULL and min(others, default=np.inf) >= _CLEARER * means.min()
        return nearest if is_clear and float(gaps.min(axis=0).max()) <= NEAR else None


def _most(tried: Sequence[Variant], gaps: np.ndarray, tolerance: float) -> Variant | None:
    """The variant that agrees on most texts; of several the nearest, and of about equally near ones that with fewest faults."""
    counts = (gaps <= tolerance).sum(axis=1)
    if not counts.max():
        return None
    means = np.where(counts == counts.max(), np.where(gaps <= tolerance, gaps, 0).sum(axis=1) / counts.max(), np.inf)
    allowed = 2 * means.min() + SAME / 2
    fitting = [variant for variant, mean in zip(tried, means, strict=True) if mean <= allowed]
    return min(fitting, key=lambda variant: variant.n_faults)


def _standard(vectors: np.ndarray) -> np.ndarray:
    """Each number on the scale of its own mean and spread over the texts."""
    spread = vectors.std(axis=0)
    return (vectors - vectors.mean(axis=0)) / np.where(spread == 0, 1, spread)


def resemblance(answers: Answers, ours: np.ndarray) -> tuple[float, float]:
    """Mean cosine between each vector and the model's embedding of its text, and of the other texts.

    Equal for another model; NaN for another width or a single text.
    """
    if answers.vectors.shape[1] != ours.shape[1] or len(ours) < 2:
        return float("nan"), float("nan")
    cosines = unit(answers.vectors) @ unit(ours).T
    same = np.eye(len(ours), dtype=bool)
    return float(cosines[same].mean()), float(cosines[~same].mean())
