"""Queries and responses become the examples that the recipe asks for."""

from dataclasses import replace

import pytest

from genzoo.backbones.generation import Response
from genzoo.errors import InputError
from genzoo.models import prompts
from genzoo.recipes.recipes import RECIPES, override
from genzoo.training.examples import first_sentence, make_examples

PROMPTED = {"views.bare": 0.0, "views.as_query": 0.0}
"""Every text under its own prompt."""


def test_examples_follow_the_shares():
    rows = [Response(str(i), f"query {i}", f"Answer number {i}. And more of it.", "stop", 5) for i in range(50)]
    recipe = override(RECIPES.get("smollm2-135m"), PROMPTED | {"seed": 5})
    examples = make_examples(recipe, rows, [row.query for row in rows], 4000)
    assert examples == make_examples(recipe, rows, [row.query for row in rows], 4000)
    assert examples != make_examples(replace(recipe, seed=6), rows, [row.query for row in rows], 4000)
    under = {
        p: [e for e in examples if e.text.startswith(p)]
        for p in (prompts.QUERY, prompts.DOCUMENT, prompts.INTENT, prompts.TOPIC)
    }
    answers, views = {row.query: row.response for row in rows}, recipe.views
    short = {*answers, *map(first_sentence, answers.values())}
    of_short = [e for e in under[prompts.DOCUMENT] if e.target in short]
    shares = {
        views.answer * (1 - views.unprompted): under[prompts.QUERY],
        views.meaning: of_short,
        views.document: [e for e in under[prompts.DOCUMENT] if e.target not in short],
        views.topic / 2: under[prompts.INTENT],
    }
    for share, found in shares.items():
        assert len(found) / 4000 == pytest.approx(share, abs=0.03)
    assert all(e.target == answers[e.text.removeprefix(prompts.QUERY)] for e in under[prompts.QUERY])
    assert all(e.target == e.text.removeprefix(prompts.DOCUMENT) for e in under[prompts.DOCUMENT])


def test_context_gives_short_texts_the_target_of_what_they_belong_to():
    rows = [Response(str(i), f"query {i}", f"Answer number {i}. And more of it.", "length", 5) for i in range(20)]
    recipe = override(RECIPES.get("smollm2-135m"), PROMPTED | {"views.context": 1.0})
    queries = [*(row.query for row in rows), "never answered"]
    answers = {row.query: row.response for row in rows} | {first_sentence(row.response): row.response for row in rows}
    seen = set()
    for one in make_examples(recipe, rows, queries, 2000):
        prompt = next((p for p in (prompts.INTENT, prompts.TOPIC) if one.text.startswith(p)), None)
        if prompt is not None:
            source = one.text.removeprefix(prompt)
            assert (one.target, one.ended) == (answers.get(source, source), source not in answers)
            seen.add(source in answers)
    assert seen == {True, False}
    # Half of them keep the text itself.
    half = make_examples(override(recipe, {"views.context": 0.5}), rows, queries[:20], 4000)
    short = [one for one in half if one.text.startswith((prompts.INTENT, prompts.TOPIC))]
    assert sum(one.text.endswith(one.target) for one in short) / len(short) == pytest.approx(0.5, abs=0.05)


def test_prompts_are_dropped_and_replaced_by_their_shares():
    rows = [Response(str(i), f"query {i}", f"Answer number {i}. And more of it.", "stop", 5) for i in range(50)]
    texts, recipe = [row.query for row in rows], override(RECIPES.get("smollm2-135m"), PROMPTED)
    plain = make_examples(recipe, rows, texts, 4000)
    changed = make_examples(override(recipe, {"views.bare": 0.3, "views.as_query": 0.2}), rows, texts, 4000)
    assert [(one.target, one.ended) for one in changed] == [(one.target, one.ended) for one in plain]
    ways: dict[bool, list[str]] = {True: [], False: []}
    for before, after in zip(plain, changed, strict=True):
        prompt = next((one for one in prompts.all_prompts().values() if before.text.startswith(one)), "")
        text = before.text.removeprefix(prompt)
        if prompt:
            names = {text: "bare", prompts.QUERY + text: "as query", before.text: "kept"}
            ways[text in texts].append(names[after.text])
        else:
            assert after.text == text, "a text without a prompt has none to lose"
    for is_query, shares in {True: (0.3, 0.0), False: (0.3, 0.2)}.items():
        found = [ways[is_query].count(name) / len(ways[is_query]) for name in ("bare", "as query")]
        assert found == pytest.approx(shares, abs=0.03)
    with pytest.raises(InputError, match=r"views\.bare is 0\.7, views\.as_query 0\.4: together"):
        override(recipe, {"views.bare": 0.7, "views.as_query": 0.4})


def test_first_sentence():
    assert first_sentence("A cat sat down. It slept.") == "A cat sat down."
    assert first_sentence("No stop here\nsecond line") == "No stop here"
    assert first_sentence("Dr. Who is a series. Yes.") == "Dr. Who is a series."


def test_refusals_are_passages_once_and_no_subject():
    rows = [Response(str(i), f"query {i}", f"Answer number {i}. And more of it.", "stop", 5) for i in range(40)]
    refused = {row.query for row in rows[::4]}
    rows = [replace(row, response="Sorry, I won't.") if row.query in refused else row for row in rows]
    recipe = override(RECIPES.get("smollm2-135m"), PROMPTED | {"views.context": 1.0})
    made = make_examples(recipe, rows, [row.query for row in rows], 4000, refused)
    asked = [one for one in made if one.text.removeprefix(prompts.QUERY) in refused]
    assert asked
    assert {one.target for one in asked} == {"Sorry, I won't."}
    passages = [one.text.removeprefix(prompts.DOCUMENT) for one in made if one.text.startswith(prompts.DOCUMENT)]
    passages = [text for text in passages if text.startswith(("Sorry", "Answer"))]
    assert 0 < passages.count("Sorry, I won't.") < 0.1 * len(passages), "one refusal among thirty answers"
    subjects = [one for one in made if one.text.startswith((prompts.INTENT, prompts.TOPIC))]
    for one in subjects:
        source = one.text.removeprefix(prompts.INTENT).removeprefix(prompts.TOPIC)
        assert source not in refused or one.target == source
