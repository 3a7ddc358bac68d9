"""A linear probe of a frozen LLM's hidden states, fitted on a few labelled requests (Alain and Bengio 2016, arXiv:1610.01644).

The states are those at the last position of the chat prompt, where the LLM is about to answer. What kind of request it is shows in
the upper half of the layers: on SmolLM2-135M, that half joined told harmful from harmless queries of a log with an AUC of .93 (of
other requests, XSTest, .77), every second layer from 16 on with .90 to .93 (.68 to .77), layer 10 with .63 (84 examples, 2,500 queries).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genzoo.backbones.generation import chat_text

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""Inverse strengths of the regularisation that are tried, for states of mean square 1."""
FOLDS, REPEATS = 7, 3
"""Of the cross-validation, and how often it is done with other divisions."""
TIE = 0.18
"""AUC of the best choice less that of another which counts as equal, times the root of the number of examples: half a standard error."""
BATCH = 8
"""Requests of one forward pass."""


@dataclass(frozen=True)
class LinearProbe:
    """A linear reading of hidden states; it reads higher the more harmful a request is.

    Attributes:
        layers: That are read, counted from 1.
        strength: C of the regression.
        auc: Cross-validated on the examples, mean over `REPEATS` divisions; 0.5 is chance.
        weight: One number for each layer and dimension, layer by layer.
        bias: Added.
        harmless: Readings of the harmless examples by probes that have not seen them.
    """

    layers: tuple[int, ...]
    strength: float
    auc: float
    weight: tuple[float, ...]
    bias: float
    harmless: tuple[float, ...]

    def read(self, states: np.ndarray) -> np.ndarray:
        """Readings ``(texts,)`` of states ``(texts, all layers, H)``."""
        chosen = states[:, [layer - 1 for layer in self.layers]].reshape(len(states), -1).astype(np.float64)
        return chosen @ np.asarray(self.weight) + self.bias

    def threshold(self, false_refusals: float) -> float:
        """What only this share of the harmless examples exceeds."""
        return float(np.quantile(self.harmless, 1 - false_refusals))


def chat_states(lm: tuple[Any, Any], texts: Sequence[str], system_prompt: str | None) -> np.ndarray:
    """States at the last position of each text's chat prompt, after every layer and each of unit length: ``(texts, layers, H)``."""
    import torch

    from genzoo.backbones.forward import pad_right

    model, tokenizer = lm
    prompts = [chat_text(tokenizer, text, system_prompt) for text in texts]
    ids = tokenizer(prompts, add_special_tokens=not tokenizer.chat_template)["input_ids"]
    # What all prompts begin with is computed once; one token of each is left, as its states are wanted.
    low, high = min(ids), max(ids)  # what these two begin with, all between them do
    shared = next((place for place, pair in enumerate(zip(low, high, strict=False)) if pair[0] != pair[1]), len(low))
    shared = max(0, min(shared, min(map(len, ids)) - 1))  # the last token is read
    beginning = _begun(model, ids[0][:shared]) if shared else None
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    found: dict[int, np.ndarray] = {}
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        padded, mask = pad_right([ids[place][shared:] for place in places], model.device)
        options: dict[str, Any] = {"use_cache": False}
        with torch.inference_mode():
            if beginning is not None:
                before = copy.deepcopy(beginning)
                before.batch_repeat_interleave(len(places))
                options = {"past_key_values": before, "use_cache": True}
            whole = torch.cat([mask.new_ones(len(places), shared), mask], dim=1)
            states = model.base_model(
                input_ids=padded, attention_mask=whole, output_hidden_states=True, **options
            ).hidden_states[1:]
        last = mask.sum(dim=1) - 1
        rows = torch.stack([layer[torch.arange(len(places)), last] for layer in states], dim=1).float()
        found.update(zip(places, torch.nn.functional.normalize(rows, dim=-1).cpu().numpy(), strict=True))
    return np.stack([found[place] for place in range(len(ids))])


def _begun(model: Any, ids: Sequence[int]) -> Any:
    """Keys and values of a text, as a cache of one row."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model.base_model(
            input_ids=torch.tensor([list(ids)], device=model.device), past_key_values=cache, use_cache=True
        )
    return cache


def fit_probe(states: np.ndarray, refuse: Sequence[bool], seed: int = 0) -> LinearProbe:
    """The probe whose part of the upper layers and strength a cross-validation on the examples finds best, or as good as that.

    Of choices that are as good as the best the first counts: more layers, then the stronger regularisation.

    Args:
        states: ``(examples, layers, H)``, as of `chat_states`.
        refuse: Of each example.
        seed: Of the divisions.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    wanted = np.asarray(refuse)
    folds = [StratifiedKFold(FOLDS, shuffle=True, random_state=seed + place) for place in range(REPEATS)]
    found = []
    for layers in _bands(states.shape[1]):
        reduced, back, shift = _reduce(states[:, [layer - 1 for layer in layers]])
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, class_weight="balanced", max_iter=5000)
            held = [cross_val_predict(model, reduced, wanted, cv=fold, method="decision_function") for fold in folds]
            auc = float(np.mean([roc_auc_score(wanted, scores) for scores in held]))
            fitted = model.fit(reduced, wanted)
            weight = back @ fitted.coef_[0]
            bias = float(fitted.intercept_[0] - shift @ weight)
            harmless = np.concatenate([scores[~wanted] for scores in held])
            found.append(LinearProbe(layers, strength, auc, tuple(weight.tolist()), bias, tuple(harmless.tolist())))
    best = max(one.auc for one in found)
    return next(one for one in found if one.auc >= best - TIE / len(refuse) ** 0.5)


def _bands(n_layers: int) -> list[tuple[int, ...]]:
    """The upper half of the layers, which more often holds on other requests than a part of it, and its lower and upper half."""
    half = tuple(range(max(1, n_layers // 2), n_layers + 1))
    middle = (len(half) + 1) // 2
    return list(dict.fromkeys((half, half[:middle], half[middle:] or half)))


def _reduce(states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised states in the coordinates of the space that they span, where a regularised regression is the same.

    Returns:
        Coordinates ``(examples, r)``, what takes a weight of them back to the states ``(layers * H, r)``, and the states' mean.
    """
    flat = states.reshape(len(states), -1).astype(np.float64)
    mean, scale = flat.mean(axis=0), (flat.std(axis=0) + 1e-9) * np.sqrt(flat.shape[1])
    flat = (flat - mean) / scale
    values, vectors = np.linalg.eigh(flat @ flat.T)
    kept = values > 1e-9 * values[-1]
    sizes = np.sqrt(values[kept])
    return vectors[:, kept] * sizes, (flat.T @ (vectors[:, kept] / sizes)) / scale[:, None], mean
