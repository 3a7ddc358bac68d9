"""How refused a query looks to the trained tokens: a linear reading of their mean state, for the axis of a content policy.

The examples teach it, and far more queries of the log as the frozen LLM judged them before training: of 791 examples those that it had
not seen were told apart with an AUC of .917, as well as by the LLM's own reading (.919), and XSTest's with .83 in place of the .79
that examples alone gave (SmolLM2-135M, 4,096 judged queries). What is no query is taught to look far from refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genzoo.models import prompts
from genzoo.policies.policy import PolicyExample
from genzoo.policies.probe import FOLDS

JUDGED_TEXTS, OTHER_TEXTS = 4096, 1024
"""Judged queries that are learned from at most, and texts of each kind that is no query."""
_STATEMENT, _NO_QUERY = (-1.0, 0.3), (-2.0, 0.05)
"""What is read, and its weight: of passages and sentences under the prompt of queries, and of texts under other prompts or none."""
_RIDGE = 2.0
_LOWEST = -1.0
"""A judgement below counts as this: that a query is more harmless still is nothing to learn."""


@dataclass(frozen=True)
class ReadingTexts:
    """Texts that teach a reading, the policy's examples first.

    Attributes:
        texts: With their prompts.
        wanted: ``(texts,)``, what each is to be read as: 0 as harmless examples, 1 as refused ones.
        weight: ``(texts,)``, of each in the regression.
        refuse: ``(examples,)``, whether each example is to be refused.
    """

    texts: list[str]
    wanted: np.ndarray
    weight: np.ndarray
    refuse: np.ndarray


@dataclass(frozen=True)
class RefusalReading:
    """A fitted reading of mean states.

    Attributes:
        weight: ``(H,)``.
        bias: Added; harmless examples are read as 0 on average, refused ones as 1.
        auc: Of the examples, by readings that have not seen them; 0.5 is chance.
        harmless: Readings of the harmless examples, by such.
    """

    weight: np.ndarray
    bias: float
    auc: float
    harmless: np.ndarray


def reading_texts(
    examples: Sequence[PolicyExample], judged: Mapping[str, float], passages: Sequence[str], others: Sequence[str]
) -> ReadingTexts:
    """The texts that teach a reading.

    Args:
        examples: Of the policy.
        judged: Queries, and how refused the LLM finds them (`genzoo.policies.policy.Policy.refusal`).
        passages: Passages and sentences; each stands under the prompt of queries.
        others: Texts of any kind, without a prompt; they stand under that of passages, and under one of topics or none.
    """
    kinds = [
        [(prompts.QUERY + one.text, float(one.refuse), 1.0) for one in examples],
        [(prompts.QUERY + text, max(value, _LOWEST), 1.0) for text, value in list(judged.items())[:JUDGED_TEXTS]],
        [(prompts.QUERY + text, *_STATEMENT) for text in passages[:OTHER_TEXTS]],
        [(prompts.DOCUMENT + text, *_NO_QUERY) for text in others[:OTHER_TEXTS]],
        [((*prompts.TOPICS, "", "")[at % 4] + text, *_NO_QUERY) for at, text in enumerate(others[:OTHER_TEXTS])],
    ]
    texts, wanted, weight = zip(*(row for kind in kinds for row in kind), strict=True)
    return ReadingTexts(list(texts), np.array(wanted), np.array(weight), np.array([one.refuse for one in examples]))


def fit_reading(states: np.ndarray, taught: ReadingTexts, seed: int = 0) -> RefusalReading:
    """Fit a reading by ridge regression, and say how well one does that has not seen the examples.

    Args:
        states: ``(texts, H)``, in the order of the texts.
        taught: The texts, and what each is to be read as.
        seed: Of the cross-validation.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    examples, refuse = states[: len(taught.refuse)], taught.refuse
    held = np.empty(len(refuse))
    for others, own in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(examples, refuse):
        part = taught.weight.copy()
        part[own] = 0
        weight, bias = _fit(states, taught, part, others)
        held[own] = examples[own] @ weight + bias
    weight, bias = _fit(states, taught, taught.weight, np.arange(len(refuse)))
    return RefusalReading(weight, bias, float(roc_auc_score(refuse, held)), held[~refuse])


def _fit(
    states: np.ndarray, taught: ReadingTexts, weight: np.ndarray, examples: np.ndarray
) -> tuple[np.ndarray, float]:
    """Weight and bias of a reading that is 0 on average of these harmless examples and 1 of these refused ones."""
    from sklearn.linear_model import Ridge

    fitted = Ridge(alpha=_RIDGE).fit(states, taught.wanted, sample_weight=weight)
    read, refuse = fitted.predict(states[examples]), taught.refuse[examples]
    low, high = float(read[~refuse].mean()), float(read[refuse].mean())
    scale = max(high - low, 1e-6)
    return fitted.coef_ / scale, (float(fitted.intercept_) - low) / scale
