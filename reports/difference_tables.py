"""Tables of differences: query by query within a task, and variant by variant within a study."""

from __future__ import annotations

from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.metrics import metric
from genzoo.leaderboards.query_comparison import compare_queries
from genzoo.leaderboards.store import ResultStore
from genzoo.leaderboards.studies import LOSSES, Effect, Study
from genzoo.reports.table import Cell, Column, Table, number_cell, text_cell

_DIFFERENCE = metric("mean_task")


def query_table(store: ResultStore, model: ModelKey, reference: ModelKey, tasks: tuple[str, ...]) -> Table:
    """The tasks with predictions of both models: does the difference carry over to other queries, or other pairs?"""
    labels = store.labels
    heads = (
        Column("Task", is_text=True, is_name=True),
        Column("Over", None, 0, "What was resampled"),
        Column("Δ", True, 1, "Difference of the scores, the first model minus the second"),
        Column("95\u00a0% interval", None, None, "Paired bootstrap over the queries or pairs", is_text=True),
        Column("p (Holm)", None, 3, "Permutation test over the queries or pairs, Holm-corrected over the tasks"),
        Column("Better / same / worse", None, None, "Queries; a single pair has no score", is_text=True),
    )
    rows = []
    for found in compare_queries(store, model, reference, tasks):
        value, interval = found.interval.estimate, found.interval
        style = "gain" if value > 0 else "loss" if value < 0 else ""
        low, high = (_DIFFERENCE.display(end, signed=True) for end in (interval.low, interval.high))
        rows.append(
            (
                text_cell(found.task),
                Cell(interval.n, f"{interval.n:,} {found.unit}"),
                number_cell(
                    value, _DIFFERENCE, signed=True, style=f"{style} {'strong' * found.is_significant}".strip()
                ),
                text_cell(f"{low} to {high}", style="fixed"),
                Cell(found.p_holm, "<0.001" if found.p_holm < 0.001 else f"{found.p_holm:.3f}", f"{found.p_holm:.6g}"),
                text_cell(" / ".join(map(str, found.outcomes)) if found.outcomes else "–", style="fixed"),
            )
        )
    title = f"Query by query: {labels[model]} against {labels[reference]}"
    note = "Intervals and tests of this table are over the queries or pairs of one task: they say nothing about other tasks."
    return Table(title, heads, tuple(rows), sample="queries", notes=(note,))


def study_table(study: Study) -> Table:
    """Variants in rows, metrics in columns: mean over seeds, with its interval as a note."""
    variants = list(dict.fromkeys(each.variant for effects in study.effects.values() for each in effects))
    heads = [Column("Variant", is_text=True, is_name=True)]
    columns: list[dict[str, Cell]] = []
    for name, effects in study.effects.items():
        known = metric(name)
        direction = False if name in LOSSES else known.higher_is_better
        heads.append(Column(known.label, direction, None, "Mean over seeds"))
        columns.append({each.variant: _effect_cell(name, each) for each in effects})
    missing = Cell(None, "–", "not measured", style="quiet")
    rows = tuple((text_cell(variant), *(column.get(variant, missing) for column in columns)) for variant in variants)
    return Table(f"Study: {study.name}", tuple(heads), rows)


def _effect_cell(name: str, each: Effect) -> Cell:
    known = metric(name)

    def shown(value: float) -> str:
        return known.display(value) if known.is_known and name not in LOSSES else f"{value:.3f}".replace("-", "−")

    note = f"{shown(each.low)} to {shown(each.high)}" if each.low is not None and each.high is not None else ""
    return Cell(each.mean, shown(each.mean), f"{each.mean:.6g} · {each.n} seed{'s' * (each.n > 1)}", note=note)
