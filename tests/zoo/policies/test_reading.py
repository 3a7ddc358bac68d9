"""How refused a query looks is learned from examples and from the LLM's judgements; what is no query looks far from it."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from genzoo.models import prompts
from genzoo.policies import reading
from genzoo.policies.policy import PolicyExample
from genzoo.policies.reading import fit_reading, reading_texts

WIDTH = 40


def _texts(examples=24, judged=600, passages=80):
    rng = np.random.default_rng(0)
    return reading_texts(
        [PolicyExample(f"example {at}", at % 2 == 0) for at in range(examples)],
        {f"query {at}": float(value) for at, value in enumerate(rng.normal(size=judged))},
        [f"passage {at}" for at in range(passages)],
        [f"other {at}" for at in range(passages)],
    )


def _states(taught, seed=1):
    """States in which one direction holds what is wanted, another the prompt, and the others noise."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(len(taught.texts), WIDTH))
    states[:, 0] += taught.wanted
    states[:, 1] = [text.startswith(prompts.QUERY) for text in taught.texts]
    return states


def test_each_kind_of_text_stands_under_its_prompt_with_what_it_is_to_be_read_as():
    taught = _texts(examples=4, judged=2, passages=4)
    assert taught.texts[:4] == [f"{prompts.QUERY}example {at}" for at in range(4)]
    assert taught.wanted[:4].tolist() == [1, 0, 1, 0]
    assert taught.refuse.tolist() == [True, False, True, False]
    assert taught.texts[4:10] == [
        prompts.QUERY + text for text in ("query 0", "query 1", *(f"passage {at}" for at in range(4)))
    ]
    assert taught.texts[10:14] == [f"{prompts.DOCUMENT}other {at}" for at in range(4)]
    assert taught.texts[14:] == [f"{prompts.INTENT}other 0", f"{prompts.TOPIC}other 1", "other 2", "other 3"]
    assert taught.wanted[6:].tolist() == [-1] * 4 + [-2] * 8
    assert (taught.weight[:6] == 1).all()
    assert set(taught.weight[6:]) == {0.3, 0.05}


def test_no_more_texts_than_told_and_no_judgement_below_the_lowest(monkeypatch):
    monkeypatch.setattr(reading, "JUDGED_TEXTS", 3)
    monkeypatch.setattr(reading, "OTHER_TEXTS", 2)
    taught = reading_texts([PolicyExample("a", True)], dict.fromkeys("bcde", -7.0), ["f"] * 5, ["g"] * 5)
    assert len(taught.texts) == 1 + 3 + 2 + 2 + 2
    assert taught.wanted[1:4].tolist() == [-1.0] * 3


def test_harmless_examples_are_read_as_0_and_refused_ones_as_1():
    taught = _texts()
    found = fit_reading(_states(taught), taught)
    read = _states(taught)[:24] @ found.weight + found.bias
    assert read[~taught.refuse].mean() == pytest.approx(0, abs=1e-9)
    assert read[taught.refuse].mean() == pytest.approx(1, abs=1e-9)


def test_judged_queries_teach_what_a_few_examples_cannot():
    """On texts that no reading has seen, and told apart from passages by their prompt."""
    few, many = _texts(judged=0), _texts()
    unseen = _texts(examples=400, judged=0, passages=400)
    states = _states(unseen, seed=2)
    auc = {}
    for name, taught in (("few", few), ("many", many)):
        found = fit_reading(_states(taught), taught)
        read = states @ found.weight + found.bias
        auc[name] = roc_auc_score(unseen.refuse, read[:400])
        assert len(found.harmless) == 12
        assert read[800:].mean() < -1  # neither under the prompt of passages, nor under one of topics or none
    assert auc["many"] > auc["few"] + 0.03, auc


def test_auc_is_of_readings_that_have_not_seen_the_examples():
    taught = _texts(examples=200, judged=0, passages=1)
    states = np.random.default_rng(3).normal(size=(len(taught.texts), 150))  # wide enough to learn 200 labels by heart
    assert 0.35 < fit_reading(states, taught).auc < 0.65
    assert fit_reading(states, taught, seed=1).auc != fit_reading(states, taught).auc
