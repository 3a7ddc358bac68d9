"""The figures of a report, from a leaderboard: what is drawn, in what size, and its alternative text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.metrics import format_count, metric
from genzoo.leaderboards.reading.studies import MEAN, Curve, Study
from genzoo.leaderboards.safety import DEPTH, MAIN_UTILITY, UTILITIES, PairFigures, SafetyAt, operating_curve
from genzoo.leaderboards.statistics.aggregation import averaged_tasks
from genzoo.reports import plots
from genzoo.reports import plots as figures
from genzoo.reports.chapters.operating_table import OUT_OF_REACH, at_utility
from genzoo.reports.plots import Point, Series
from genzoo.reports.render.document import Drawing
from genzoo.reports.render.style import NARROW, Palette, figure_style, new_figure

_SCORE = metric("mean_task")
_SHADES = "Colour compares models within a task: light is its best, dark its worst, whichever way its metric goes; – is missing."
_MOST_RANKS = 40  # rows of the rank figure
_STUDY_FIGURES = (MEAN, "decoded", "recon_gap")
_FEW_MODELS = 6  # as many as the palette tells apart


def dumbbell_drawing(
    model: LeaderboardRow, reference: LeaderboardRow, board: Leaderboard, identity: str, *, is_by_task: bool = False
) -> Drawing | None:
    """Teacher to student: by type, or by task where that is asked for or types say no more than tasks."""
    by_type = _shared(reference.types, model.types)
    by_task = _shared(reference.scores, model.scores, [name for name in board.tasks if _is_averaged(board, name)])
    is_by_type = not is_by_task and 1 < len(by_type) < len(by_task)
    pairs = by_type if is_by_type else by_task
    if not pairs:
        return None
    pairs = dict(sorted(pairs.items(), key=lambda item: item[1][0] - item[1][1]))
    before = Series(reference.label, [pair[0] for pair in pairs.values()])
    after = Series(model.label, [pair[1] for pair in pairs.values()])
    what = "task type" if is_by_type else "task"
    changes = "; ".join(f"{name} {_SCORE.display(a)} to {_SCORE.display(b)}" for name, (a, b) in pairs.items())

    def draw(width: float, palette: Palette) -> Figure:
        def fill(ax: Axes) -> None:
            length = 40 if width > NARROW else 30
            figures.dumbbell(ax, list(pairs), before, after, palette=palette, label_length=length)

        return _figure(width, 0.9 + 0.27 * len(pairs), palette, fill)

    return Drawing(
        identity,
        f"{reference.label} to {model.label}, by {what}",
        f"One line per {what}, from {reference.label} to {model.label}: {changes}.",
        f"Main scores times 100, by {what}. Hollow: {reference.label}. Full: {model.label}. Right: the difference.",
        draw,
    )


def task_drawing(board: Leaderboard, identity: str = "tasks") -> Drawing | None:
    """All models over all tasks: marks while they can be told apart, else a heat map."""
    names = list(board.tasks)
    series = [Series(row.label, [_nan(row.scores[name]) for name in names]) for row in board.rows]
    if len(names) < 2:
        return None
    is_few = len(series) <= _FEW_MODELS
    signs = [_sign(board, name) for name in names]
    leaders = "; ".join(f"{name}: {_leader(board, name)}" for name in names[:12])

    def draw(width: float, palette: Palette) -> Figure:
        def fill(ax: Axes) -> None:
            if is_few:
                figures.task_profile(ax, names, series, palette=palette, columns=2 if width > NARROW else 1)
            else:
                figures.heat_map(ax, names, series, palette=palette, signs=signs)

        # A heat map has a fixed need of room per column, so it does not become narrow: its box scrolls instead.
        needed = width if is_few else max(width, 2.6 + 0.24 * len(names))
        height = 1.0 + 0.26 * len(names) if is_few else 1.5 + 0.19 * len(series)
        return _figure(needed, height + (0.16 * len(series) if is_few and width <= NARROW else 0), palette, fill)

    return Drawing(
        identity,
        "Every task, every model",
        f"{'One row per task, one mark per model' if is_few else 'Heat map, models by tasks'}. Best: {leaders}.",
        "Main scores times 100. "
        + ("" if is_few else _SHADES)
        + (
            " Without colour: safety, which finding nothing wins, and metrics without a direction."
            if not all(signs) and not is_few
            else ""
        ),
        draw,
    )


def size_drawing(board: Leaderboard) -> Drawing | None:
    """Mean over tasks against parameters, for at least two models that have both."""
    points = [
        Point(row.label, float(row.facts.n_parameters), row.mean_task)
        for row in board.rows
        if row.facts.n_parameters and row.mean_task is not None
    ]
    if len(points) < 2:
        return None
    listed = "; ".join(f"{p.label}: {format_count(p.x)} parameters, {_SCORE.display(p.y)}" for p in points)

    def draw(width: float, palette: Palette) -> Figure:
        return _figure(
            width, _square(width), palette, lambda ax: figures.score_against_size(ax, points, palette=palette)
        )

    front = figures.pareto_front(points)
    listed += f". Not beaten by any smaller model: {', '.join(p.label for p in front)}"
    caption = "Mean over tasks, times 100, against the number of parameters (log scale)."
    caption += " Safety tasks are not in the mean." if board.safety.tasks else ""
    caption += " The line joins the models that no smaller one beats." if len(front) > 1 else ""
    caption += _crowded(points)
    return Drawing("size", "Score against size", f"Scatter plot. {listed}.", caption, draw)


def rank_drawing(board: Leaderboard) -> Drawing | None:
    """The rank of each model with its interval, for at least three models."""
    ranked = [row for row in board.rows if row.key in board.standings][:_MOST_RANKS]
    if len(ranked) < 3:
        return None
    standings = [board.standings[row.key] for row in ranked]
    listed = "; ".join(f"{row.label}: {each.low} to {each.high}" for row, each in zip(ranked, standings, strict=True))

    def draw(width: float, palette: Palette) -> Figure:
        labels = [row.label for row in ranked]
        fill = lambda ax: plots.rank_intervals(ax, labels, standings, palette=palette)  # noqa: E731
        return _figure(width, 0.7 + 0.22 * len(ranked), palette, fill)

    caption = (
        "Dot: rank by Mean (task). Bar: the ranks that tests between all pairs of models leave open; in at least 95 of 100 boards "
        "every bar holds its model’s rank over all tasks of the same kind. Models in the leader’s colour cannot be told apart from it."
    )
    if len(ranked) < len(board.standings):
        caption += f" The first {len(ranked)} of {len(board.standings)} models."
    return Drawing("ranks", "How sure the ranks are", f"Intervals of ranks. {listed}.", caption, draw)


def operating_drawing(board: Leaderboard, pair: PairFigures, identity: str = "operating") -> Drawing | None:
    """Safety of one pair at every utility that a threshold of similarity can reach."""
    measured = sorted(
        (row for row in board.rows if row.key in pair.requests),
        key=lambda row: pair.models[row.key][UTILITIES.index(MAIN_UTILITY)].order,
        reverse=True,
    )
    if not measured:
        return None
    # In the board's order, so that a model has one colour in all figures of a report.
    first = {row.key for row in measured[:_FEW_MODELS]}
    shown = [(row.label, operating_curve(*pair.requests[row.key])) for row in board.rows if row.key in first]
    listed = "; ".join(f"{row.label}: {_at_utilities(pair.models[row.key])}" for row in measured)

    def draw(width: float, palette: Palette) -> Figure:
        columns = 2 if width > NARROW else 1
        fill = lambda ax: plots.operating_curves(ax, shown, palette=palette, columns=columns)  # noqa: E731
        return _figure(width, _square(width) + 0.16 * len(shown), palette, fill)

    caption = (
        f"{pair.pair.safety} with {pair.pair.twin}. Each line lowers the threshold of similarity from left (nothing is answered) "
        f"to right. A request counts as served when its own passage is among the first {DEPTH} and above the threshold. Higher is "
        "better; a line that ends early cannot reach more utility, which is the worst result there."
    )
    if len(shown) < len(measured):
        caption += f" The first {len(shown)} of {len(measured)} models."
    return Drawing(identity, "Safety at a given utility", f"Line chart. {listed}.", caption, draw)


def _at_utilities(found: Sequence[SafetyAt]) -> str:
    return ", ".join(
        f"{at_utility(each.utility).display(each.safety) if each.point else OUT_OF_REACH} at {each.utility * 100:.0f}\u00a0%"
        for each in found
    )


def study_drawings(study: Study, identity: str) -> list[Drawing]:
    """The figures of a study: what it comes to (the mean over the tasks, what can be decoded), and the losses of its runs."""
    shown = [name for name in _STUDY_FIGURES if name in study.effects] or list(study.effects)[:1]
    drawings = [
        _ablation_drawing(study, name, f"{identity}-{name.replace('_', '-')}")
        for name in shown
        if len(study.effects[name]) > 1
    ]
    for loss, label in (("align", "Alignment loss"), ("recon", "Reconstruction loss, nats per token")):
        found = [curve for curve in study.curves if curve.loss == loss][:_FEW_MODELS]
        if found:
            drawings.append(_training_drawing(study.name, label, found, f"{identity}-{loss}"))
    return drawings


def _ablation_drawing(study: Study, name: str, identity: str) -> Drawing:
    known, effects = study.metric(name), study.effects[name]
    scale = 100.0 if known.percent else 1.0
    listed = "; ".join(f"{each.variant}: {each.value.mean * scale:.2f}" for each in effects)
    label = known.label + (", times 100" if scale > 1 else "")

    def draw(width: float, palette: Palette) -> Figure:
        fill = lambda ax: plots.ablation(ax, effects, palette=palette, x_label=label, scale=scale)  # noqa: E731
        return _figure(width, 0.75 + 0.24 * len(effects), palette, fill)

    seeds = max(each.value.n for each in effects)
    caption = f"Hollow: {effects[0].variant}, from which the others differ. Mean over {seeds} seed{'s' * (seeds > 1)}"
    caption += ", bar: its 95\u00a0% interval (Student’s t)." if seeds > 1 else "; one seed allows no interval."
    return Drawing(identity, f"{study.name}: {known.label}", f"Dot chart. {listed}.", caption, draw)


def _training_drawing(title: str, label: str, shown: Sequence[Curve], identity: str) -> Drawing:
    listed = "; ".join(f"{each.label}: from {each.values[0]:.3g} to {each.values[-1]:.3g}" for each in shown)

    def draw(width: float, palette: Palette) -> Figure:
        columns = 2 if width > NARROW else 1
        fill = lambda ax: plots.training_curves(ax, shown, palette=palette, y_label=label, columns=columns)  # noqa: E731
        return _figure(width, _square(width), palette, fill)

    caption = "Faint: each logged batch. Strong: a running median over a twentieth of the run. The first seed of each."
    return Drawing(identity, f"{title}: {label.lower()}", f"Line chart. {listed}.", caption, draw)


def safety_drawing(board: Leaderboard, pair: PairFigures, identity: str = "safety") -> Drawing | None:
    """Safety on harmful requests against help with their harmless twins, for one pair."""
    safety, twin = pair.pair
    points = []
    for row in board.rows:
        x, y = row.scores.get(twin), row.scores.get(safety)
        if x is not None and y is not None:
            points.append(Point(row.label, x * 100, y))
    if len(points) < 2:
        return None
    across, up = (board.tasks[name].metric for name in (twin, safety))
    listed = "; ".join(f"{p.label}: {up.label} {p.y * 100:.1f}, {across.label} {p.x:.1f}" for p in points)

    def draw(width: float, palette: Palette) -> Figure:
        def fill(ax: Axes) -> None:
            figures.safety_against_over_refusal(
                ax, points, palette=palette, is_higher_safer=bool(up.higher_is_better),
                x_label=f"{across.label} on harmless twins", y_label=f"{up.label} on harmful requests",
            )  # fmt: skip

        return _figure(width, _square(width), palette, fill)

    side = "Up" if up.higher_is_better else "Down"
    caption = f"{side}: {up.label} on {safety}, safer. Right: {across.label} on {twin}, more helpful. Both times 100."
    chance = board.safety.tasks[safety]
    if chance.value is not None:
        caption += f" A random ranking, which is of no help, has {up.label} {up.display(chance.value)}."
    caption += _crowded(points)
    return Drawing(identity, "Safety beside over-refusal", f"Scatter plot. {listed}.", caption, draw)


def _figure(width: float, height: float, palette: Palette, fill: Callable[[Axes], object]) -> Figure:
    with figure_style(palette):
        figure = new_figure(width, height)
        fill(figure.add_subplot())
    return figure


def _crowded(points: Sequence[Point]) -> str:
    return " Names for which there is no room are left out; the table has them all." if len(points) > 6 else ""


def _square(width: float) -> float:
    return 0.52 * width if width > NARROW else 0.86 * width


def _shared(
    first: Mapping[str, float | None], second: Mapping[str, float | None], names: Sequence[str] | None = None
) -> dict[str, tuple[float, float]]:
    pairs = {name: (first.get(name), second.get(name)) for name in (names if names is not None else first)}
    return {name: (a, b) for name, (a, b) in pairs.items() if a is not None and b is not None}


def _is_averaged(board: Leaderboard, name: str) -> bool:
    return name in averaged_tasks(board.tasks, board.tasks)


def _sign(board: Leaderboard, name: str) -> int:
    """1 where higher is better, -1 where lower is, 0 where neither makes a model better: without a direction, and safety."""
    if name in board.safety.tasks:
        return 0
    return {True: 1, False: -1, None: 0}[board.tasks[name].metric.higher_is_better]


def _leader(board: Leaderboard, name: str) -> str:
    found = board.tasks[name].metric
    scored = [(value, row.label) for row in board.rows if (value := row.scores[name]) is not None]
    if not scored or not _sign(board, name):
        return "none"
    value, label = max(scored) if found.higher_is_better else min(scored)
    return f"{label} {found.display(value)}"


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
