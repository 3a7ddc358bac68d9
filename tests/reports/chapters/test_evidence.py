"""Single searches in a report, safety at a utility, studies and figure files."""

import itertools
import json

import numpy as np
import pytest

from genzoo.errors import InputError
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.reading.studies import Curve, Effect, Interval, read_studies
from genzoo.leaderboards.safety import OperatingPoint
from genzoo.leaderboards.statistics.standing import Standing, rank_standings
from genzoo.reports import plots
from genzoo.reports.chapters.drawings import rank_drawing
from genzoo.reports.chapters.evidence import evidence_section
from genzoo.reports.chapters.operating_table import operating_table
from genzoo.reports.chapters.sections import studies_sections
from genzoo.reports.render.document import Prose, Searches
from genzoo.reports.render.pages import render_figure
from genzoo.reports.render.style import NARROW, PAPER, WIDE, figure_style, new_figure

ZOO, OTHER = ("acme/zoo", "r1"), ("acme/other", "r1")
SAFETY, TWINS = "GenZooMiniSafetyRetrieval", "GenZooMiniOverRefusalRetrieval"


@pytest.fixture
def safe(tree):
    """Ten harmful requests and ten twins over one corpus; the zoo's model keeps harm at a distance, the other serves it."""
    documents = {f"{kind}{place}": f"{kind} passage {place}" for kind in "hb" for place in range(10)}
    for task, kind in ((SAFETY, "h"), (TWINS, "b")):
        metric = "safety_at_5" if kind == "h" else "hit_rate_at_5"
        tree.task(task, main=metric, dataset={"path": "one/corpus", "revision": "v1"})
        queries = {f"{kind}q{place}": f"{kind}{place}" for place in range(10)}
        tree.judge(task, queries, documents)
        for model, harm in ((ZOO, 0.1), (OTHER, 0.9)):
            right = {"h": harm, "b": 0.5}[kind]
            fill = {f"b{place}": 0.95 - place / 100 for place in range(6)} if model == ZOO and kind == "h" else {}
            rankings = {q: {**fill, d: right + int(d[1:]) / 100} for q, d in queries.items()}
            tree.predict(model, task, rankings)
            tree.score(model, task, float(model == ZOO) if kind == "h" else 1.0)
    tree.model(*ZOO, role="zoo")
    readings = [
        {"text": "text of hq9", "prompt": "", "decoded": "a red apple", "logit_lens": []},
        {"text": "b passage 0", "prompt": "", "decoded": "apples are red", "logit_lens": []},
        {"text": "h passage 9", "prompt": "", "decoded": "nothing alike", "logit_lens": []},
    ]
    tree.write("evidence/acme__zoo/r1.json", {"searches": readings})
    return tree


def test_searches_say_why(safe):
    store = ResultStore.load(safe.root)
    section = evidence_section(Leaderboard.from_store(store), store)
    (block,) = (block for block in section.blocks if isinstance(block, Searches))
    card = next(card for card in block.items if card.query == "text of hq9")
    zoo, other = card.rows
    assert card.heading == "The harmful passage that should stay unfound"
    assert (zoo.verdict, zoo.found, zoo.is_good) == ("Keeps it back, at rank 7", "b passage 0", True)
    assert zoo.why == (
        "Similarity 0.950, 0.760 above the other at 0.190. As decoded, the query shares “red”, “apple” with what it found "
        "and no word with the other."
    )
    assert (other.verdict, other.is_good, other.why) == ("Serves it, at rank 1", False, "")


def test_no_evidence_says_how_to_get_it(tree):
    tree.score(("acme/m", "r1"), "T", 0.5)
    store = ResultStore.load(tree.root)
    (block,) = evidence_section(Leaderboard.from_store(store), store).blocks
    assert isinstance(block, Prose)


def test_safety_at_a_utility(safe):
    store = ResultStore.load(safe.root)
    board = Leaderboard.from_store(store)
    (pair,) = board.safety.pairs
    table = operating_table(board, pair)
    cells = {row[0].value: [cell.value for cell in row[1:4]] for row in table.rows}
    # The other serves every harmful request with more similarity than any harmless one.
    assert cells == {"zoo": [1.0, 1.0, 1.0], "other": [0.0, 0.0, 0.0]}


def test_no_safety_at_a_utility_over_two_corpora(safe):
    safe.task(SAFETY, main="safety_at_5", dataset={"path": "another/corpus", "revision": "v1"})
    store = ResultStore.load(safe.root)
    assert Leaderboard.from_store(store).safety.pairs == ()


def board_of_thirty(tree):
    rng = np.random.default_rng(0)
    for task in range(12):
        tree.task(f"Task{task}")
        for model in range(30):
            name = f"organisation/a-rather-long-model-name-{model}-base-v1.5-instruct"
            tree.score((name, "r"), f"Task{task}", round(0.3 + 0.01 * model + 0.05 * rng.random(), 4))
    return Leaderboard.from_store(ResultStore.load(tree.root))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_ranks_of_thirty_models_are_legible(tree, width):
    figure = rank_drawing(board_of_thirty(tree)).draw(width, PAPER)
    (ax,) = figure.axes
    with figure_style(PAPER):
        figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = [label.get_window_extent(renderer) for label in ax.get_yticklabels()]
    assert len(boxes) == 30
    assert all(box.x0 >= 0 for box in boxes)
    ordered = sorted(boxes, key=lambda box: box.y0)
    assert all(above.y0 >= below.y1 - 1 for below, above in itertools.pairwise(ordered))
    assert min(label.get_size() for label in ax.get_yticklabels()) >= 8


@pytest.fixture
def ax():
    with figure_style(PAPER):
        yield new_figure(WIDE, 3).add_subplot()


def test_rank_intervals_show_low_rank_and_high(ax):
    plots.rank_intervals(ax, ["a", "b"], [Standing(1, 1, 2, True), Standing(2, 1, 2, True)], palette=PAPER)
    assert ax.collections[1].get_offsets().tolist() == [[1, 0], [2, 1]]


def test_operating_curves_begin_safe_and_useless(ax):
    plots.operating_curves(ax, [("a", [OperatingPoint(0.5, 0.7, 0.4)])], palette=PAPER)
    assert ax.lines[0].get_xydata().tolist() == [[0, 100], [70, 40]]


def test_ablation_has_intervals_where_there_are_seeds(ax):
    effects = [
        Effect("base", Interval(3, 0.4, 0.3, 0.5), None),
        Effect("one", Interval(1, 0.2, None, None), None),
    ]
    plots.ablation(ax, effects, palette=PAPER, x_label="x", scale=100)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["base", "one"]
    assert [segment.tolist() for line in ax.collections[:1] for segment in line.get_segments()] == [[[30, 0], [50, 0]]]


def test_training_curves_are_smoothed_by_a_median(ax):
    steps = tuple(range(100))
    values = tuple(50.0 if step == 40 else 1.0 for step in steps)
    plots.training_curves(ax, [Curve("run", "align", steps, values)], palette=PAPER, y_label="loss")
    raw, smooth = (line.get_ydata() for line in ax.lines)
    assert max(raw) == 50.0
    assert max(smooth) == 1.0


@pytest.mark.parametrize(("kind", "head"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", "<?xml")])
def test_figure_files_are_the_same_every_time(tree, kind, head):
    drawing = rank_drawing(board_of_thirty(tree))
    first = render_figure(drawing, NARROW, kind)
    assert first.startswith(head)
    assert first == render_figure(drawing, NARROW, kind)


def test_ablations_chapter(tmp_path):
    folder = tmp_path / "ablation"
    run = folder / "runs/base--seed-0/tokens"
    run.mkdir(parents=True)
    rows = [f"ablation,{v},{s},TaskX,{0.4 + 0.1 * (v == 'one') + 0.01 * s},x" for v in ("base", "one") for s in (0, 1)]
    (folder / "results.csv").write_text("\n".join(["study,variant,seed,metric,value,recipe_digest", *rows]))
    (run / "history.jsonl").write_text(
        "\n".join(json.dumps({"step": n, "align": 1 / n, "recon": 2}) for n in range(1, 9))
    )
    (section,) = studies_sections(read_studies(tmp_path, []))
    assert [type(block).__name__ for block in section.blocks] == [
        "Prose",
        "Drawing",
        "Drawing",
        "Drawing",
        "TableBlock",
    ]
    assert "Safety is in no mean." in section.blocks[0].text
    # Both seeds say the same.
    assert any("No difference was tested" in note for note in section.blocks[-1].table.notes)
    assert studies_sections(()) == ()


def test_ranks_need_pairs_of_finite_scores():
    assert [each.rank for each in rank_standings(np.array([[0.1, 0.2], [0.3, 0.4]]))] == [2, 1]


def test_unknown_figure_format_and_missing_study(full_tree, tmp_path):
    from genzoo.reports import build_report

    store = ResultStore.load(full_tree.root)
    with pytest.raises(InputError, match="'bmp'"):
        build_report(store, tmp_path / "out", title="T", figures=("bmp",))
    with pytest.raises(InputError, match="holds no study"):
        build_report(store, tmp_path / "out", title="T", studies=tmp_path / "nothing")
    assert not (tmp_path / "out").exists()
