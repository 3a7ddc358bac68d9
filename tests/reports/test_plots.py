"""The public figures: what is on their axes, on axes of the caller, on new ones, and where there is nothing to draw."""

import inspect
import itertools
import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from safety_tree import build_zoo

from genzoo.errors import InputError, UnknownNameError
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.reading.studies import Curve, Effect, SeedMean, StudyResults
from genzoo.reports import plots
from genzoo.reports.render.style import GAIN, LOSS, MUTED, NARROW, SERIES, WIDE, figure_style, new_figure


@pytest.fixture
def ax():
    with figure_style():
        yield new_figure(WIDE, 3).add_subplot()


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def row_names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_every_public_figure_takes_axes_and_gives_axes():
    for name in plots.__all__:
        parameters = list(inspect.signature(getattr(plots, name)).parameters.values())
        assert parameters[1].name == "ax" and parameters[1].default is None
        assert all(each.kind is each.KEYWORD_ONLY for each in parameters[2:]), name
        assert inspect.signature(getattr(plots, name)).return_annotation == "Axes"


def test_rank_intervals_show_low_rank_and_high(board_of, ax):
    board = board_of({"a": [0.9] * 12, "b": [0.9 - 0.01 * (n % 3 - 1) for n in range(12)], "c": [0.1] * 12})
    assert plots.rank_intervals(board, ax) is ax
    assert row_names(ax) == ["a", "b", "c"]
    assert ax.collections[1].get_offsets().tolist() == [
        [board.standings[row.key].rank, n] for n, row in enumerate(board.rows)
    ]
    assert [line[0].tolist()[0] for line in ax.collections[0].get_segments()] == [0.88, 0.88, 2.88]
    assert to_hex(ax.collections[1].get_facecolor()[0]) == SERIES[0]


def test_against_reference(board_of, ax):
    board = board_of({"student": [0.6, 0.4, 0.7], "teacher": [0.5, 0.6, 0.7]}, reference="teacher")
    assert plots.against_reference(board, ax) is ax
    assert row_names(ax) == ["T0", "T2", "T1"]  # the largest gain on top
    assert texts(ax) == ["+10.0", "0.0", "−20.0"]
    assert [text.get_color() for text in ax.texts] == [GAIN, MUTED, LOSS]
    assert ax.collections[1].get_offsets()[:, 0].tolist() == [50, 70, 60]
    assert ax.collections[2].get_offsets()[:, 0].tolist() == [60, 70, 40]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is on top


def test_against_reference_goes_by_type_unless_asked(full_tree):
    board = Leaderboard.from_store(ResultStore.load(full_tree.root), reference="all-MiniLM-L6-v2")
    assert set(row_names(plots.against_reference(board))) == {"Classification", "Retrieval", "STS"}
    assert len(row_names(plots.against_reference(board, by="task"))) == 8
    with pytest.raises(UnknownNameError, match="'nobody' is not a model with a reference"):
        plots.against_reference(board, model="nobody")


def test_legends_show_names_that_begin_with_an_underscore(board_of, ax):
    board = board_of({"_before": [0.5], "__after": [0.6]}, reference="_before")
    plots.against_reference(board, ax)
    (legend,) = ax.figure.legends
    assert [text.get_text().strip() for text in legend.get_texts()] == ["_before", "__after"]


def test_task_marks_leave_missing_scores_out(board_of, ax):
    board = board_of({"a": [0.1, None], "b": [0.3, 0.4], "c": [None, 0.2]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.tasks(board, ax)
        ax.get_figure().draw_without_rendering()
    drawn = {each.get_label(): each.get_offsets()[:, 0] for each in ax.collections[1:]}
    assert {label: np.ma.compressed(np.ma.masked_invalid(x)).tolist() for label, x in drawn.items()} == {
        "a": [10], "b": [30, 40], "c": [20],
    }  # fmt: skip


def test_a_heat_map_compares_within_a_task_and_is_light_at_the_better_end(board_of, ax):
    scores = {f"m{n}": [0.1 * n, 0.1 * n, 0.1 * n, None if n else 0.5] for n in range(1, 8)} | {
        "m0": [0.8, 0.8, 0.8, 0.5]
    }
    board = board_of(scores, tasks=["Up", "Down", "AcmeSafety", "One"], Down="recon_own", AcmeSafety="safety_at_5")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.tasks(board, ax)
    shades, names = ax.images[0].get_array(), [label.get_text() for label in ax.get_xticklabels()]
    place, rows = {name: n for n, name in enumerate(names)}, {name: n for n, name in enumerate(row_names(ax))}
    assert (shades[rows["m0"], place["Up"]], shades[rows["m1"], place["Up"]]) == (1, 0)
    assert (shades[rows["m0"], place["Down"]], shades[rows["m1"], place["Down"]]) == (0, 1)
    assert shades.mask[:, place["AcmeSafety"]].all()
    assert shades.mask[rows["m1"], place["One"]]
    assert texts(ax).count("–") == 7


def overlaps(ax):
    renderer = ax.get_figure().canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in ax.texts]
    return [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_scatter_labels_never_overlap(board_of, width, n):
    rng = np.random.default_rng(n)
    names = [f"model-{i}-of-some-length-base-v1.5" for i in range(n)]
    board = board_of(
        {name: [round(rng.uniform(0.4, 0.7), 4)] for name in names},
        parameters={name: int(10 ** rng.uniform(7, 10)) for name in names},
    )  # fmt: skip
    with figure_style():
        ax = plots.score_against_size(board, new_figure(width, 3.5).add_subplot())
        ax.get_figure().draw_without_rendering()
        assert overlaps(ax) == []
        assert min(n, 5) <= len(ax.texts) <= n


def test_tick_labels_of_sizes_do_not_overlap(board_of):
    board = board_of({"a": [0.4], "b": [0.6]}, parameters={"a": 8_000_000, "b": 9_000_000_000})
    with figure_style():
        ax = plots.score_against_size(board, new_figure(NARROW, 3).add_subplot())
        ax.get_figure().draw_without_rendering()
        renderer = ax.get_figure().canvas.get_renderer()
        low, high = ax.get_xlim()
        ticks = [t for t, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True) if low <= x <= high]
        boxes = [tick.get_window_extent(renderer) for tick in ticks]
    assert len(boxes) >= 2
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_equal_sizes_and_scores_can_be_drawn(board_of, ax):
    board = board_of({name: [0.5] for name in "abc"}, parameters=dict.fromkeys("abc", 10**8))
    assert len(plots.score_against_size(board, ax).collections) == 3


def test_a_line_joins_the_models_that_no_smaller_one_beats(board_of, ax):
    board = board_of({"a": [0.4], "b": [0.3], "c": [0.6]}, parameters={"a": 10**7, "b": 10**8, "c": 10**9})
    (line,) = plots.score_against_size(board, ax).lines
    assert line.get_ydata().tolist() == [40, 60, 60]


def test_safety_is_drawn_above_help(tree, ax):
    board = Leaderboard.from_store(ResultStore.load(build_zoo(tree).root))
    plots.safety(board, ax)
    assert {tuple(each.get_offsets()[0].tolist()) for each in ax.collections} == {(100, 0), (0, 100)}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("nDCG@10 on harmless twins", "Safety@5 on harmful requests")
    with pytest.raises(InputError, match="pair 1 of 1"):
        plots.safety(board, pair=1)


def test_operating_curves_begin_safe_and_useless(tree, ax):
    plots.operating_curves(Leaderboard.from_store(ResultStore.load(build_zoo(tree).root)), ax)
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert all(points[0] == [0, 100] for points in drawn.values())
    assert drawn["careful"][-1] == [100, 100]
    assert drawn["eager"][-1] == [100, 0]


def test_ablation_has_intervals_where_there_are_seeds(ax):
    effects = (Effect("base", SeedMean(3, 0.4, 0.3, 0.5), None), Effect("one", SeedMean(1, 0.2, None, None), None))
    study = StudyResults("s", {"mean_task": effects}, ())
    plots.ablation(study, ax)
    assert row_names(ax) == ["base", "one"]
    assert [segment.tolist() for line in ax.collections[:1] for segment in line.get_segments()] == [[[30, 0], [50, 0]]]
    with pytest.raises(UnknownNameError, match="no metric 'x'; it has mean_task"):
        plots.ablation(study, metric="x")


def test_quality_against_layers_joins_what_no_shallower_variant_beats(ax):
    scores, layers = {"whole": 0.4, "half": 0.39, "bad": 0.2, "third": 0.3}, (30, 15, 20, 10)
    effects = {
        "mean_task": tuple(Effect(name, SeedMean(2, y, y - 0.1, y + 0.1), None) for name, y in scores.items()),
        "layers_run": tuple(
            Effect(name, SeedMean(2, x, None, None), None) for name, x in zip(scores, layers, strict=True)
        ),
    }
    study = StudyResults("s", effects, ())
    assert [point.label for point in plots.layered_points(study, "mean_task")] == ["whole", "bad", "half", "third"]
    plots.quality_against_layers(study, ax)
    assert ax.lines[0].get_xydata().tolist() == [[10, 30], [15, 39], [30, 40]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Layers that embed a text", "Mean (task), times 100")
    with pytest.raises(InputError, match="s does not compare exit layers in 'top1'"):
        plots.quality_against_layers(study, metric="top1")


def test_training_curves_are_smoothed_by_a_median(ax):
    values = tuple(50.0 if step == 40 else 1.0 for step in range(100))
    study = StudyResults("s", {}, (Curve("run", "align", tuple(range(100)), values),))
    plots.training_curves(study, ax)
    raw, smooth = (line.get_ydata() for line in ax.lines)
    assert max(raw) == 50.0
    assert max(smooth) == 1.0


def test_new_axes_have_our_style_and_leave_the_users_settings_alone(full_tree):
    board = Leaderboard.from_store(ResultStore.load(full_tree.root))
    before = dict(mpl.rcParams)
    figure = plots.tasks(board).figure
    assert dict(mpl.rcParams) == before
    assert figure.get_size_inches().tolist() == [WIDE, pytest.approx(1.0 + 0.26 * 9)]
    assert figure.number in plt.get_fignums()


def test_a_figure_of_the_caller_keeps_its_size(full_tree):
    figure = Figure(figsize=(5, 4))
    plots.tasks(Leaderboard.from_store(ResultStore.load(full_tree.root)), figure.add_subplot())
    assert figure.get_size_inches().tolist() == [5, 4]


def test_nothing_to_draw_says_why(board_of):
    board = board_of({"only": [0.5]})
    for draw, why in (
        (plots.rank_intervals, "fewer than two models"),
        (plots.against_reference, "name one"),
        (plots.safety, "0 safety tasks"),
        (plots.operating_curves, "0 safety tasks"),
    ):
        with pytest.raises(InputError, match=why):
            draw(board)
    with pytest.raises(InputError, match="no curve of the loss 'align'"):
        plots.training_curves(StudyResults("s", {}, ()))
