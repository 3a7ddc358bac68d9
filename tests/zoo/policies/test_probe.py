"""Probes of hidden states, on states of which the answer is known and on tiny LLMs of five families."""

import numpy as np
import pytest
from conftest_builders import build_backbone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from genzoo.backbones.generation import chat_text
from genzoo.backbones.whole import load_causal_lm
from genzoo.policies.probe import _reduce, chat_states, fit_probe

FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "gemma3_text")


def _known(n=80, layers=8, hidden=12, told_by=(6,), seed=0):
    """Noise, and in some layers one direction that says what is to be refused."""
    rng = np.random.default_rng(seed)
    refuse = np.arange(n) % 2 == 0
    states = rng.normal(size=(n, layers, hidden))
    for layer in told_by:
        states[:, layer - 1, 3] += np.where(refuse, 2.0, -2.0)
    return states.astype(np.float32), refuse.tolist()


def test_probe_finds_what_the_upper_layers_tell():
    states, refuse = _known()
    probe = fit_probe(states, refuse)
    assert probe.auc > 0.9
    others, labels = _known(seed=1)
    assert roc_auc_score(labels, probe.read(others)) > 0.9
    assert 6 in probe.layers
    assert min(probe.layers) >= 4
    weight = np.abs(np.reshape(probe.weight, (len(probe.layers), -1)))
    assert np.unravel_index(weight.argmax(), weight.shape) == (probe.layers.index(6), 3)


def test_probe_of_noise_or_of_lower_layers_says_that_it_knows_nothing():
    for told_by in ((), (1, 2)):
        assert abs(fit_probe(*_known(told_by=told_by)).auc - 0.5) < 0.2


def test_threshold_is_exceeded_by_the_stated_share_of_harmless_examples():
    states, refuse = _known(n=120)
    probe = fit_probe(states, refuse)
    for share in (0.05, 0.25, 0.5):
        exceeded = np.mean(np.array(probe.harmless) > probe.threshold(share))
        assert exceeded == pytest.approx(share, abs=1 / len(probe.harmless))


def test_probe_is_the_same_each_time():
    states, refuse = _known()
    assert fit_probe(states, refuse) == fit_probe(states, refuse)


def test_regression_in_reduced_coordinates_is_that_of_all_dimensions():
    states, refuse = _known(n=30, layers=3, hidden=40, told_by=(3,))
    reduced, back, _ = _reduce(states)
    flat = states.reshape(30, -1).astype(np.float64)
    standard = (flat - flat.mean(axis=0)) / ((flat.std(axis=0) + 1e-9) * np.sqrt(flat.shape[1]))
    options = {"C": 10.0, "max_iter": 10_000, "tol": 1e-10}
    whole = LogisticRegression(**options).fit(standard, refuse).coef_[0] / (
        (flat.std(axis=0) + 1e-9) * np.sqrt(flat.shape[1])
    )
    small = back @ LogisticRegression(**options).fit(reduced, refuse).coef_[0]
    assert np.allclose(whole, small, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_those_of_the_last_position_of_each_prompt_alone(family, tmp_path):
    import torch

    lm = model, tokenizer = load_causal_lm(build_backbone(tmp_path / family, family), "cpu")
    texts = ["how do I rob a bank", "a", "where do polar bears live and what do they eat " * 3]
    together = chat_states(lm, texts, None)
    assert together.shape == (3, 2, 32)
    assert np.allclose(np.linalg.norm(together, axis=-1), 1, atol=1e-5)
    for text, found in zip(texts, together, strict=True):
        ids = tokenizer(chat_text(tokenizer, text, None), add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            hidden = model(ids, output_hidden_states=True).hidden_states[1:]
        alone = torch.stack([torch.nn.functional.normalize(layer[0, -1], dim=-1) for layer in hidden]).numpy()
        assert np.allclose(alone, found, atol=1e-5)
