"""The model card: true to what it was given, whole, and readable as Markdown."""

import dataclasses

import pytest
import yaml
from conftest_builders import build_checkpoint
from results_tree import STUDENT, TEACHER, full_tree

from genzoo.cli.card_scores import read_card_scores
from genzoo.publishing.model_card import CardFacts, render_card
from genzoo.publishing.scores import CardScore, CardScores

PROMPTS = {"query": "Answer | this: ", "document": "Restate <it>: ", "none": ""}


@pytest.fixture
def checkpoint(qwen3):
    made = build_checkpoint(qwen3, n_thought=1)
    controls = {"n": 200, "recon_own": 1.1747, "recon_shuffled": 1.7116, "top1": 0.885}
    return dataclasses.replace(made, info={"controls": controls, "recipe": {"teacher": "minilm"}})


def render(checkpoint, **facts):
    base = CardFacts(
        "org/Model-LLM2Vec-Gen", "merged", "acme/base", "a" * 40, "apache-2.0", training_data="Our own words"
    )
    return render_card(checkpoint, dataclasses.replace(base, **facts), PROMPTS, "tensor([[1.]])")


def tables(card):
    """Every Markdown table must be whole: all its lines have as many cells as its head."""
    lines = card.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("|") and not lines[place - 1].startswith("|"):
            end = place
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            cells = {row.replace("\\|", "").count("|") for row in lines[place:end]}
            assert len(cells) == 1, lines[place:end]
            assert not lines[place - 1].strip(), f"no blank line above {line}"
            yield lines[place:end]


def test_page_is_whole(checkpoint):
    card = render(checkpoint)
    _, block, page = card.split("---\n", 2)
    assert yaml.safe_load(block)["base_model"] == "acme/base"
    assert list(tables(page))
    for line, before in zip(page.splitlines()[1:], page.splitlines(), strict=False):
        if line.startswith("## "):
            assert not before.strip(), f"no blank line above {line}"
    assert "\n\n\n" not in page
    for part in (
        "Answer \\| this:",
        "Restate &lt;it>:",
        f"at `{'a' * 40}`",
        "1.17 nats",
        "Our own words.",
        "(1 of them scratch space)",
    ):
        assert part in page, part
    assert "`none`" not in page
    assert "No score was measured" in page


def test_nothing_is_said_that_is_not_known(checkpoint):
    card = render(dataclasses.replace(checkpoint, info={}), base_revision="", backbone_note="weights of another place")
    assert "held-out" not in card
    assert "Teacher" not in card
    assert "> The weights of the frozen LLM are weights of another place." in card
    assert " at `" not in card


def test_scores_carry_direction_and_interval(checkpoint):
    row = CardScore("STS17", "Spearman ↑", "69.7", "82.0", 69.7, 67.0, 72.1)
    with_interval = render(checkpoint, scores=CardScores((row,), teacher="minilm", summary="Less than its teacher."))
    assert "| STS17 | Spearman ↑ | 69.7 | [67.0, 72.1] | 82.0 |" in with_interval
    plain = render(checkpoint, scores=CardScores((dataclasses.replace(row, low=None, high=None),)))
    assert "| STS17 | Spearman ↑ | 69.7 |\n" in plain
    assert "interval" not in plain.split("## Scores")[1].split("##")[0]
    for card in (with_interval, plain):
        list(tables(card.split("---\n", 2)[2]))


def test_scores_of_a_results_folder(checkpoint, tmp_path):
    full_tree(tmp_path / "results")
    scores = read_card_scores(tmp_path / "results", STUDENT[0])
    shown = {row.task: row for row in scores.rows}
    assert scores.teacher == TEACHER[0]
    assert shown["STSBenchmark"].shown == "74.2"
    assert shown["STSBenchmark"].teacher == "82.0"
    assert shown["GenZooMiniSafetyRetrieval"].metric == "Safety@5 ↑"
    assert "points, 95 % interval [" in scores.summary
    assert len(scores.readings) == 3
    assert scores.conditions.startswith("Measured in float32 on cpu (torch 2.13.0")
    card = render(checkpoint, scores=scores)
    assert "## What its embeddings say" in card
    list(tables(card.split("---\n", 2)[2]))


def test_adapter_form_warns_that_nothing_pins_its_base(checkpoint):
    card = render(checkpoint, form="adapter")
    assert "base_model_relation: adapter" in card
    assert "genzoo.load` warns" in card
    assert "peft" in card
