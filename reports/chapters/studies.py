"""The chapter on studies of training: what each change of a recipe did, and how the losses went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from genzoo.leaderboards.facts import RULE
from genzoo.leaderboards.metrics import TRAINING, Metric, metric
from genzoo.leaderboards.reading.studies import MEAN, Effect, StudyResults
from genzoo.reports import plots
from genzoo.reports.chapters.cells import span
from genzoo.reports.render.document import Block, Drawing, Prose, Section, TableBlock
from genzoo.reports.render.table import Cell, Column, Table, name_column, text_cell

_ABOUT = (
    "Each variant changes the recipe in one point and is trained from scratch with the same seeds. Intervals are over seeds, and a few "
    "seeds can only show large effects. Safety is not part of any mean. Decoded texts and nats per token are measured on held-out "
    "responses of the variant’s own kind, so variants that change the responses are not compared in them."
)
_DRAWN = (MEAN, "decoded", "recon_gap")


def studies_sections(studies: Sequence[StudyResults]) -> tuple[Section, ...]:
    """One chapter for all studies; none without a study."""
    blocks: list[Block] = [Prose(_ABOUT)] if studies else []
    for place, study in enumerate(studies):
        blocks += [*_drawings(study, f"study-{place}"), TableBlock(study_table(study))]
    return (Section("ablations", "Ablations", tuple(blocks)),) if blocks else ()


def study_table(study: StudyResults) -> Table:
    """Variants in rows, metrics in columns: mean over seeds, and below it the difference to the base with its interval."""
    variants = list(dict.fromkeys(each.variant for effects in study.effects.values() for each in effects))
    order = {name: place for place, name in enumerate((MEAN, *TRAINING))}
    heads, columns = [name_column("Variant")], list[dict[str, Cell]]()
    for name in sorted(study.effects, key=lambda name: order.get(name, 0.5)):
        known = study.metric(name)
        heads.append(Column(known.label, known.higher_is_better, None, "Mean over seeds"))
        columns.append({each.variant: _effect_cell(known, each) for each in study.effects[name]})
    missing = Cell(None, "–", "not measured", style="quiet")
    rows = tuple((text_cell(variant), *(column.get(variant, missing) for column in columns)) for variant in variants)
    return Table(f"StudyResults: {study.name}", tuple(heads), rows, notes=tuple(_notes(study, variants[0])), rule=RULE)


def _effect_cell(known: Metric, each: Effect) -> Cell:
    value, difference = each.value, each.difference
    note = "other texts" if each.is_unlike else ""
    if difference is not None:
        note = known.display(difference.mean, signed=True)
        if difference.low is not None and difference.high is not None:
            ends = span(known, difference.low, difference.high, signed=True).replace(" to ", ", ")
            note += f" [{ends}]{'*' * each.is_clear}"
    seeds = f"{value.n} seed{'s' * (value.n > 1)}"
    return Cell(value.mean, known.display(value.mean), f"{value.mean:.6g} · {seeds}", note=note)


def _notes(study: StudyResults, base: str) -> Iterator[str]:
    tests = "No difference was tested: that takes at least two seeds, the same as those of the base."
    if study.n_tests:
        many = f"{study.n_tests} differences were" if study.n_tests > 1 else "One difference was"
        tests = (
            f"{many} tested; * marks those that are significant at 5\u00a0% after Holm’s correction over all of them."
        )
    yield (
        f"Mean over seeds; below it the difference to {base}, seed by seed, with its own 95\u00a0% interval (Student’s t). "
        f"{tests} There is no interval where all seeds agree exactly. Tasks: main score, multiplied by 100."
    )
    if any(each.is_unlike for effects in study.effects.values() for each in effects):
        yield f"“Other texts”: measured on other held-out texts than {base}, or judged by another teacher, so not compared."
    if not study.safety:
        return
    yield (
        f"Left out of the mean, because a variant that finds nothing is perfectly safe: {', '.join(study.safety)}. Read it together "
        "with its harmless twin."
    )
    if any(metric(name).is_safety for name in study.effects):
        yield "Safety at a given utility is 0 where the utility is out of reach: too few harmless requests find their passage."
    else:
        yield (
            "Safety at a given utility was not measured in this study: a new `genzoo study` on a benchmark with a safety task and "
            "its harmless twin adds it."
        )


def _drawings(study: StudyResults, identity: str) -> Iterator[Drawing]:
    """What a study comes to (the mean over the tasks, what can be decoded), and the losses of its runs."""
    for name in [name for name in _DRAWN if name in study.effects] or list(study.effects)[:1]:
        if len(study.effects[name]) > 1:
            yield _ablation_drawing(study, name, f"{identity}-{name.replace('_', '-')}")
    if quality := next((name for name in (MEAN, *study.tasks, "top1") if plots.layered_points(study, name)), None):
        yield _layers_drawing(study, quality, f"{identity}-layers")
    caption = "Faint: each logged batch. Strong: a running median over a twentieth of the run. The first seed of each."
    for loss, label in plots.LOSSES.items():
        curves = [curve for curve in study.curves if curve.loss == loss][: plots.MOST_SERIES]
        if curves:
            listed = "; ".join(f"{each.label}: from {each.values[0]:.3g} to {each.values[-1]:.3g}" for each in curves)
            fill = partial(plots.training_curves, study, loss=loss)
            title = f"{study.name}: {label.lower()}"
            yield Drawing(f"{identity}-{loss}", title, f"Line chart. {listed}.", caption, fill)


def _layers_drawing(study: StudyResults, name: str, identity: str) -> Drawing:
    known, points = study.metric(name), plots.layered_points(study, name)
    listed = "; ".join(f"{point.x:.0f} layers: {known.display(point.y)}" for point in points)
    caption = (
        "Left is cheaper: the time to embed a text goes with the layers that are run. The line joins the variants that none of fewer or "
        "as many layers beats; bars: 95\u00a0% intervals over the seeds (Student’s t)."
    )
    fill = partial(plots.quality_against_layers, study, metric=name)
    return Drawing(identity, f"{study.name}: {known.label} against layers", f"Line chart. {listed}.", caption, fill)


def _ablation_drawing(study: StudyResults, name: str, identity: str) -> Drawing:
    known, effects = study.metric(name), study.effects[name]
    scale = 100.0 if known.percent else 1.0
    listed = "; ".join(f"{each.variant}: {each.value.mean * scale:.2f}" for each in effects)
    seeds = max(each.value.n for each in effects)
    caption = f"Hollow: {effects[0].variant}, from which each other variant differs in one point. Mean over {seeds} seed{'s' * (seeds > 1)}"
    caption += ", bar: its 95\u00a0% interval (Student’s t)." if seeds > 1 else "; with one seed there is no interval."
    fill = partial(plots.ablation, study, metric=name)
    return Drawing(identity, f"{study.name}: {known.label}", f"Dot chart. {listed}.", caption, fill)
