"""The model card: true to what it was given, whole, and readable as Markdown."""

import dataclasses

import pytest
import yaml
from conftest_builders import build_checkpoint
from results_tree import STUDENT, TEACHER, full_tree

from genzoo.models.entries import ENTRIES
from genzoo.models.exported import _readme
from genzoo.models.loading import find_checkpoint
from genzoo.models.prompts import IN_OTHER_TOOLS, NO_FLOAT16
from genzoo.publishing.model_card import CardFacts, render_card
from genzoo.publishing.plan import PublishOptions, _gather
from genzoo.publishing.scores import CardScore, CardScores
from genzoo.recipes.fields import UnsupervisedOptions
from genzoo.recipes.recipes import RECIPES
from genzoo.reports.card_scores import read_card_scores
from genzoo.teachers.teachers import TEACHERS

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
        "Restate \\<it\\>:",
        IN_OTHER_TOOLS,
        f"at `{'a' * 40}`",
        "1.17 nats",
        "Our own words.",
        "(1 of them scratch space)",
    ):
        assert part in page, part
    assert "`none`" not in page
    assert "No score was measured" in page


def test_where_the_tokens_are_read_is_said_where_it_is_not_the_last_layer(checkpoint):
    assert "layer" not in render(checkpoint)
    shallow = dataclasses.replace(checkpoint, exit_layer=1, info={"backbone_layers": 2})
    for form, others in (
        ("merged", ("the frozen LLM up to layer 1 of 2 included", "`genzoo decode`) needs the whole frozen LLM")),
        ("adapter", ("the trained numbers only", "transformers reports the weights of the layers that are not run")),
    ):
        card = render(shallow, form=form)
        for part in ("| Tokens read after | layer 1 of 2; the layers above it are not run |", *others):
            assert part in card
        list(tables(card.split("---\n", 2)[2]))
    hostile = dataclasses.replace(shallow, info={"backbone_layers": "9 |\n# x"})
    assert "| Tokens read after | layer 1; the" in render(hostile)


def test_nothing_is_said_that_is_not_known(checkpoint):
    card = render(dataclasses.replace(checkpoint, info={}), base_revision="", backbone_note="weights of another place")
    assert "held-out" not in card
    assert "Teacher" not in card
    assert "> The weights of the frozen LLM are weights of another place." in card
    assert " at `" not in card


def test_scores_carry_direction_and_interval(checkpoint):
    row = CardScore("SciFact", "nDCG@10 ↑", "69.7", "72.0", 69.7, "[67.0, 72.1]", "300 queries", "−2.3 [−5.0, +0.4]")
    with_interval = render(checkpoint, scores=CardScores((row,), teacher="minilm", summary="Less than its teacher."))
    assert "| SciFact | nDCG@10 ↑ | 69.7 | [67.0, 72.1] | 300 queries | 72.0 | −2.3 [−5.0, +0.4] |" in with_interval
    plain = render(checkpoint, scores=CardScores((CardScore("SciFact", "nDCG@10 ↑", "69.7", "–", 69.7),)))
    assert "| SciFact | nDCG@10 ↑ | 69.7 |\n" in plain
    assert "nterval" not in plain.split("## Scores")[1].split("##")[0]
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


def test_safety_stands_at_a_given_utility_with_its_chance_level(checkpoint, tmp_path):
    from results_tree import ResultsTree
    from safety_tree import SAFETY, TWIN, build_zoo

    tree = build_zoo(ResultsTree(tmp_path / "r"))
    tree.model("acme/eager", "r", role="zoo", teacher="acme/careful")
    eager = read_card_scores(tmp_path / "r", "eager")
    assert [(row.utility, row.teacher) for row in eager.safety] == [
        ("50 %", "100.0"),
        ("70 %", "100.0"),
        ("90 %", "100.0"),
    ]
    assert next(row.metric for row in eager.rows if row.task == SAFETY) == "Safety@5 ↑ (chance 91.7)"
    assert eager.safety[1].shown == "30.0"
    assert eager.safety[1].interval.count(" to ") == 1
    assert "Mean difference to its teacher over 3 tasks, without safety tasks: +6.7 points" in eager.summary
    assert eager.safety_notes == (
        f"Chance level of {SAFETY}: a random ranking has Safety@5 91.7 (1 relevant passage among 60).",
    )
    nothing = read_card_scores(tmp_path / "r", "nothing")
    assert [row.shown for row in nothing.safety] == ["out of reach"] * 3
    assert any(note.startswith("Out of reach:") for note in nothing.safety_notes)
    tree.model("acme/eager", "r", role="zoo", teacher="acme/nothing")
    below = read_card_scores(tmp_path / "r", "eager")
    assert [row.teacher for row in below.safety] == ["out of reach"] * 3
    assert any(note.startswith("Out of reach:") for note in below.safety_notes)
    for scores in (eager, nothing):
        card = render(checkpoint, scores=scores)
        assert f"| {SAFETY} | {TWIN} | 70 % | {scores.safety[1].shown} |" in card
        assert "a random ranking has Safety@5 91.7" in card
        list(tables(card.split("---\n", 2)[2]))
        assert "\n\n\n" not in card.split("---\n", 2)[2]


def test_a_card_without_predictions_says_that_safety_is_not_known(checkpoint, tmp_path):
    full_tree(tmp_path / "results")
    scores = read_card_scores(tmp_path / "results", STUDENT[0])
    assert scores.safety == ()
    assert any("is not known for GenZooMiniSafetyRetrieval" in note for note in scores.safety_notes)
    assert "Mean difference to its teacher over 8 tasks, without safety tasks" in scores.summary


def test_adapter_form_warns_that_nothing_pins_its_base(checkpoint):
    card = render(checkpoint, form="adapter")
    assert "base_model_relation: adapter" in card
    assert "genzoo.load` warns" in card
    assert "peft" in card


HOSTILE = "a | b\n\n# zz <zz-node> [l](javascript:zz) `code` ![i](zz.png) --- https://zz.invalid \x1b[31m\u202e"


def test_what_comes_from_files_is_text_on_the_card(checkpoint):
    markdown_it = pytest.importorskip("markdown_it")
    row = CardScore(HOSTILE, HOSTILE, "69.7", "72.0", 69.7, "[67.0, 72.1]", "300 queries")
    scores = CardScores((row,), teacher="minilm", conditions=HOSTILE, readings=((HOSTILE, HOSTILE),))
    facts = CardFacts("org/Model", "adapter", HOSTILE, "", HOSTILE, training_data="Own words", scores=scores)
    info = {"controls": {"n": 2, "recon_own": HOSTILE, "recon_shuffled": 1.0, "top1": 1.0}}
    card = render_card(dataclasses.replace(checkpoint, info=info), facts, {HOSTILE: HOSTILE}, "tensor([[1.]])")
    _, block, page = card.split("---\n", 2)
    assert yaml.safe_load(block)["base_model"] == HOSTILE
    assert len(list(tables(page))) == 4
    blocks = markdown_it.MarkdownIt("commonmark").enable("table").parse(page)
    tokens = [token for each in blocks for token in (each, *(each.children or ()))]
    assert not [token for token in tokens if token.type.startswith(("html", "image"))]
    links = {token.attrs["href"] for token in tokens if token.type == "link_open"}
    assert not [link for link in links if not link.startswith("https://")]
    headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
    assert not [heading for heading in headings if "zz" in heading]
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_the_card_says_where_float16_overflows(checkpoint):
    assert f"- {NO_FLOAT16}" in render(checkpoint, has_float16=False)
    assert NO_FLOAT16 not in render(checkpoint)


def test_the_readme_of_an_export_shows_names_as_text(checkpoint, tmp_path):
    markdown_it = pytest.importorskip("markdown_it")
    made = dataclasses.replace(checkpoint, backbone=f"/folder `x` {HOSTILE}")
    text = _readme(HOSTILE, made, "adapter", "/a`b``c")
    tokens = [token for each in markdown_it.MarkdownIt().parse(text) for token in (each, *(each.children or ()))]
    assert not [token for token in tokens if token.type.startswith(("html", "image", "link"))]
    code = [token.content for token in tokens if token.type == "code_inline"]
    assert "/a`b``c" in code
    assert {"query", f'"{made.prompts()["query"]}"'} <= set(code) and IN_OTHER_TOOLS in text


@pytest.mark.parametrize(
    ("options", "said", "unsaid"),
    [
        ({"layer": 2}, ["after layer 2,", "whitened to 128 dimensions"], ["centred", "SimCSE"]),
        (
            {"layer": 18, "power": 0.0, "wrap": "answer"},
            ["after layer 18,", "open an answer", "centred", "not whitened"],
            ["early"],
        ),
        ({"power": 0.25, "wrap": "plain"}, ["partly whitened (power 0.25)", "over the text,"], ["early", "request"]),
        ({"wrap": "echo", "simcse_steps": 9}, ["given twice", "tuned by unsupervised SimCSE"], ["early"]),
    ],
)
def test_a_self_made_teacher_is_described_by_its_recipe(checkpoint, options, said, unsaid):
    page = render(checkpoint, self_taught=UnsupervisedOptions(**options))
    (line,) = [line for line in page.splitlines() if line.startswith("| Teacher |")]
    assert line.startswith("| Teacher | the frozen LLM itself, without labels or another model: its states")
    assert all(part in line for part in said), line
    assert not any(part in line for part in unsaid), line
    assert "frozen LLM itself" not in render(checkpoint)


@pytest.mark.parametrize("name", ENTRIES.names())
def test_cards_of_shipped_models_say_what_their_recipe_says(name):
    entry, checkpoint = ENTRIES.get(name), find_checkpoint(name)
    facts, _ = _gather(name, checkpoint, "acme/it", PublishOptions())
    teacher = TEACHERS.get(entry.teacher)
    if not teacher.recipe:
        assert facts.self_taught is None
        assert facts.teacher == teacher.hub_id
        return
    made = {**dataclasses.asdict(UnsupervisedOptions()), "power": 0.5, **checkpoint.info["recipe"]["unsupervised"]}
    assert facts.self_taught == UnsupervisedOptions(**made) == RECIPES.get(entry.recipe).unsupervised


def test_a_checkpoint_of_ones_own_is_described_by_what_it_recorded(checkpoint):
    recorded = {"teacher": "unsupervised", "unsupervised": {"layer": 7, "power": 0.0, "gone": 1}}
    own = dataclasses.replace(checkpoint, info={"recipe": recorded})
    facts, _ = _gather("no-entry", own, "acme/it", PublishOptions())
    assert facts.self_taught == UnsupervisedOptions(layer=7, power=0.0)
