"""Tables of differences: query by query within a task, and variant by variant within a study."""

from __future__ import annotations

from collections.abc import Iterator

from genzoo.leaderboards.comparison import QueryComparison, compare_queries
from genzoo.leaderboards.facts import RULE, ModelKey
from genzoo.leaderboards.metrics import TRAINING, Metric, metric
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.reading.studies import MEAN, Effect, Study
from genzoo.reports.render.table import Cell, Column, Table, number_cell, text_cell

_DIFFERENCE = metric("mean_task")


def query_table(store: ResultStore, model: ModelKey, reference: ModelKey, tasks: tuple[str, ...]) -> Table:
    """The tasks with predictions of both models: does the difference carry over to other queries, or other pairs?"""
    labels = store.labels
    heads = (
        Column("Task", is_text=True, is_name=True),
        Column("Over", None, 0, "What the interval and the test are over"),
        Column("Δ", True, 1, "Difference of the scores, the first model minus the second"),
        Column("95\u00a0% interval", None, None, "Over the queries or pairs of each split and subset", is_text=True),
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
                _p_cell(found),
                text_cell(" / ".join(map(str, found.outcomes)) if found.outcomes else "–", style="fixed"),
            )
        )
    title = f"Query by query: {labels[model]} against {labels[reference]}"
    note = "Intervals and tests of this table are over the queries or pairs of one task: they say nothing about other tasks."
    return Table(title, heads, tuple(rows), sample="queries", notes=(note,))


def _p_cell(found: QueryComparison) -> Cell:
    if found.is_testable:
        return Cell(found.p_holm, "<0.001" if found.p_holm < 0.001 else f"{found.p_holm:.3f}", f"{found.p_holm:.6g}")
    some = f"the models differ on {found.n_unequal} of {found.interval.n:,} {found.unit}"
    return Cell(None, "–", f"{some}: no outcome on so few gives a corrected p below 0.05", style="quiet")


def study_table(study: Study) -> Table:
    """Variants in rows, metrics in columns: mean over seeds, and below it the difference to the base with its interval."""
    variants = list(dict.fromkeys(each.variant for effects in study.effects.values() for each in effects))
    order = {name: place for place, name in enumerate((MEAN, *TRAINING))}
    names = sorted(study.effects, key=lambda name: order.get(name, 0.5))
    heads = [Column("Variant", is_text=True, is_name=True)]
    columns: list[dict[str, Cell]] = []
    for name in names:
        known = study.metric(name)
        heads.append(Column(known.label, known.higher_is_better, None, "Mean over seeds"))
        columns.append({each.variant: _effect_cell(known, each) for each in study.effects[name]})
    missing = Cell(None, "–", "not measured", style="quiet")
    rows = tuple((text_cell(variant), *(column.get(variant, missing) for column in columns)) for variant in variants)
    note = (
        f"Mean over seeds; below it the difference to {variants[0]}, seed by seed, with its own 95\u00a0% interval (Student’s t). "
        f"{_tests_in_words(study)} Seeds that all say the same have no interval. Tasks: main score times 100."
    )
    unlike = any(each.is_unlike for effects in study.effects.values() for each in effects)
    other = f"“Other texts”: measured on other held-out texts than {variants[0]}, or judged by another teacher, so not compared."
    notes = (note, *((other,) if unlike else ()), *_safety_notes(study))
    return Table(f"Study: {study.name}", tuple(heads), rows, notes=notes, rule=RULE)


def _tests_in_words(study: Study) -> str:
    if not study.n_tests:
        return "No difference was tested: that takes at least two seeds, the same as those of the base."
    many = f"{study.n_tests} differences were" if study.n_tests > 1 else "One difference was"
    return f"{many} tested; * marks those that are significant at 5\u00a0% after Holm’s correction over all of them."


def _safety_notes(study: Study) -> Iterator[str]:
    if not study.safety:
        return
    yield (
        f"Not in the mean, since a variant that finds nothing is perfectly safe: {', '.join(study.safety)}. Read it beside its "
        "harmless twin."
    )
    if any(metric(name).is_safety for name in study.effects):
        yield "Safety at a given utility is 0 where the utility is out of reach: too few harmless requests find their passage."
    else:
        yield (
            "Safety at a given utility was not measured in this study: a new `genzoo study` on a benchmark with a safety task and "
            "its harmless twin adds it."
        )


def _effect_cell(known: Metric, each: Effect) -> Cell:
    value, difference = each.value, each.difference
    note = "other texts" if each.is_unlike else ""
    if difference is not None:
        note = known.display(difference.mean, signed=True)
        if difference.low is not None and difference.high is not None:
            ends = f"{known.display(difference.low, signed=True)}, {known.display(difference.high, signed=True)}"
            note += f" [{ends}]{'*' * each.is_clear}"
    seeds = f"{value.n} seed{'s' * (value.n > 1)}"
    return Cell(value.mean, known.display(value.mean), f"{value.mean:.6g} · {seeds}", note=note)
