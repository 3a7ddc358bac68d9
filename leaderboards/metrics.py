"""One row per metric: its label, direction and range, as every table and every figure uses them."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from functools import lru_cache

UNIT = (0.0, 1.0)
SIGNED = (-1.0, 1.0)
MISSING = "–"


@dataclass(frozen=True)
class Metric:
    """What a metric is called, which way is better and which values it can take.

    Attributes:
        higher_is_better: None where no direction is known (or none exists, as for a decision threshold).
        range: Lowest and highest possible value, None where unbounded.
        digits: Decimals in a table.
        percent: Whether a table shows the value times 100, as the field does for scores.
        is_known: False for a metric that no row below describes.
        is_safety: Whether it says how much harm a search serves. A model that finds nothing is best in such a metric, so its
            tasks are in no mean and no rank (`genzoo.leaderboards.facts`).
    """

    name: str
    label: str
    higher_is_better: bool | None
    range: tuple[float, float] | None
    digits: int = 1
    percent: bool = True
    is_known: bool = True
    is_safety: bool = False

    @property
    def arrow(self) -> str:
        """An arrow that points to the better side, empty where there is none."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    @property
    def direction(self) -> str:
        """The direction in words, for screen readers and plain text."""
        words = {True: "higher is better", False: "lower is better", None: "no direction"}
        return words[self.higher_is_better] if self.is_known else "direction unknown"

    def display(self, value: float | None, *, signed: bool = False) -> str:
        """The value as a table shows it.

        >>> metric("ndcg_at_10").display(0.61934)
        '61.9'
        >>> metric("ndcg_at_10").display(-0.0031, signed=True)
        '−0.3'
        >>> metric("ndcg_at_10").display(None)
        '–'
        """
        if value is None or math.isnan(value):
            return MISSING
        shown = round(value * 100 if self.percent else value, self.digits)
        text = f"{shown + 0.0:{'+' if signed and shown else ''},.{self.digits}f}"
        return text.replace("-", "−")

    def contains(self, value: float) -> bool:
        """Whether the value can be a value of this metric (rounding noise is let through)."""
        low, high = self.limits
        return low <= value <= high

    @property
    def limits(self) -> tuple[float, float]:
        """The range, widened by the rounding noise that is let through; infinite where there is none."""
        return (-math.inf, math.inf) if self.range is None else (self.range[0] - 1e-6, self.range[1] + 1e-6)


_SIMILARITY = {
    "cosine": "cosine",
    "dot": "dot product",
    "euclidean": "Euclidean",
    "manhattan": "Manhattan",
    "max": "best similarity",
    "similarity": "own similarity",
}
_SIMILARITY_PREFIX = rf"(?:(?P<by>{'|'.join(_SIMILARITY)})_)?"

# pattern (matched whole), label, higher_is_better, range. `{0}` is the first unnamed group.
_FAMILIES: tuple[tuple[str, str, bool | None, tuple[float, float] | None], ...] = (
    # mteb ranks main scores in descending order, whatever they are: its main score is higher-is-better by definition.
    (r"main_score", "Main score", True, SIGNED),
    (r"ndcg_at_(\d+)", "nDCG@{0}", True, UNIT),
    (r"map_at_(\d+)", "MAP@{0}", True, UNIT),
    (r"mrr_at_(\d+)", "MRR@{0}", True, UNIT),
    (r"recall_at_(\d+)", "Recall@{0}", True, UNIT),
    (r"precision_at_(\d+)", "Precision@{0}", True, UNIT),
    (r"hit_rate_at_(\d+)", "Hit rate@{0}", True, UNIT),
    (r"(?:map|mrr)", "{name}", True, UNIT),
    (r"robustness_at_(\d+)", "Robustness@{0}", True, UNIT),  # InstructIR: the lowest nDCG over all instructions
    (r"(paired|text|image)_acc(?:uracy)?", "{0} accuracy", True, UNIT),  # NevIR, image-text pairs
    (r"alpha_auc", "Krippendorff’s alpha, area", True, SIGNED),
    (_SIMILARITY_PREFIX + r"(?P<what>spearman|pearson)", "{what}", True, SIGNED),
    (_SIMILARITY_PREFIX + r"(?P<what>accuracy|f1|precision|recall)_threshold", "{what} threshold", None, None),
    (_SIMILARITY_PREFIX + r"(?P<what>ap|accuracy|f1|precision|recall)", "{what}", True, UNIT),
    (r"(accuracy|f1|ap|precision|recall)_weighted", "{0}, weighted", True, UNIT),
    (r"(accuracy|f1|ap|precision|recall)_macro", "{0}, macro", True, UNIT),
    (r"lrap", "LRAP", True, UNIT),
    (r"v_measure", "V-measure", True, UNIT),
    (r"v_measure_std", "V-measure, spread", None, None),
    (r"ami(?:_score)?", "AMI", True, SIGNED),
    (r"nmi", "NMI", True, UNIT),
    (r"kendalltau", "Kendall’s tau", True, SIGNED),
    (r"p-MRR", "p-MRR", True, SIGNED),
    (r"nauc_(.+)", "nAUC of {0}", True, None),
)
# How much harm a search serves: pattern, label, higher_is_better.
_SAFETY: tuple[tuple[str, str, bool], ...] = (
    (r"safety_at_(\d+)", "Safety@{0}", True),
    (r"(?:harmful_hit_rate|harmful_acc)_at_(\d+)", "Harmful hit rate@{0}", False),
    (r"any_harmful_at_(\d+)", "Any harmful@{0}", False),
    (r"refusal_affinity", "Refusal affinity", True),
    # Made by `genzoo.leaderboards.safety` of a safety task and its harmless twin, named after the safety task in a study.
    (r"(?:.+\.)?safety_at_utility_(\d+)", "Safety at {0}\u00a0% utility", True),
)
_NAMES = {"ap": "AP", "f1": "F1", "map": "MAP", "mrr": "MRR"}
# What a training is judged by on held-out queries, and its losses (`genzoo.training.controls`).
TRAINING = {
    "decoded": Metric("decoded", "Decoded text nearest to own response", True, UNIT),
    "recon_gap": Metric("recon_gap", "Shuffled less own response, nats/token", True, None, 3, percent=False),
    "recon_own": Metric("recon_own", "Own response, nats/token", False, None, 3, percent=False),
    "recon_shuffled": Metric("recon_shuffled", "Shuffled response, nats/token", None, None, 3, percent=False),
    "top1": Metric("top1", "Embedding nearest to own response", True, UNIT),
    "cosine_own": Metric("cosine_own", "Cosine to own response", True, SIGNED, 3, percent=False),
    "cosine_other": Metric("cosine_other", "Cosine to other responses", None, SIGNED, 3, percent=False),
    "layers_run": Metric("layers_run", "Layers that embed a text", None, None, 0, percent=False),
    "align": Metric("align", "Alignment loss", False, None, 3, percent=False),
    "recon": Metric("recon", "Reconstruction loss, nats/token", False, None, 3, percent=False),
}
# Sizes carry no merit of their own, so only the speed has a direction.
_NAMED = TRAINING | {
    "n_parameters": Metric("n_parameters", "Parameters", None, None, 0, percent=False),
    "n_trained_parameters": Metric("n_trained_parameters", "Trained parameters", None, None, 0, percent=False),
    "embed_dim": Metric("embed_dim", "Dimensions", None, None, 0, percent=False),
    "texts_per_second": Metric("texts_per_second", "Texts per second", True, None, 1, percent=False),
    "borda": Metric("borda", "Borda rank", False, None, 0, percent=False),
    "mean_task": Metric("mean_task", "Mean (task)", True, SIGNED),
    "mean_type": Metric("mean_type", "Mean (type)", True, SIGNED),
}


@lru_cache(maxsize=4096)
def metric(name: str) -> Metric:
    """The row of a metric in mteb's spelling; an unknown one has no direction and says so.

    >>> metric("any_harmful_at_5").higher_is_better
    False
    >>> metric("cosine_spearman").label
    'Spearman (cosine)'
    >>> metric("sparkle").is_known
    False
    """
    if name in _NAMED:
        return _NAMED[name]
    if name.startswith(("max_over_subqueries_", "mean_over_subqueries_")):
        kind, inner = name.split("_over_subqueries_", 1)
        base = metric(inner)
        label = f"{base.label} ({'best' if kind == 'max' else 'mean'} sub-query)"
        return dataclasses.replace(base, name=name, label=label)
    for pattern, label, is_safer in _SAFETY:
        if match := re.fullmatch(pattern, name):
            return Metric(name, _label(label, name, match), is_safer, UNIT, is_safety=True)
    for pattern, label, higher, limits in _FAMILIES:
        if match := re.fullmatch(pattern, name):
            return Metric(name, _label(label, name, match), higher, limits)
    return Metric(name, name, None, None, digits=4, percent=False, is_known=False)


def _label(template: str, name: str, match: re.Match[str]) -> str:
    groups = match.groupdict()
    words = [_NAMES.get(word, word) for word in match.groups() if word is not None]
    what = groups.get("what") or ""
    text = template.format(*words, name=_NAMES.get(name, name), what=_NAMES.get(what, what))
    text = text[:1].upper() + text[1:] if template.startswith("{") else text
    return f"{text} ({_SIMILARITY[groups['by']]})" if groups.get("by") else text


def format_count(value: float) -> str:
    """A count with a unit.

    >>> format_count(134_515_008), format_count(22_700_000), format_count(7.1e9)
    ('135M', '22.7M', '7.1B')
    """
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            number = value / limit
            return f"{number:.0f}{unit}" if number >= 100 else f"{number:.1f}".removesuffix(".0") + unit
    return f"{value:.0f}"
