"""The scores that a model card shows; the command line reads them from a results folder and hands them over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from genzoo.errors import InputError
from genzoo.files import write_text
from genzoo.names import is_commit

TASK = re.compile(r"[A-Za-z0-9][\w.+()-]{0,120}", re.ASCII)
NOTES = "measured with genzoo through mteb"


@dataclass(frozen=True)
class CardScore:
    """One task's main score.

    Attributes:
        task: Name of the task.
        metric: Its label with an arrow to the better side.
        shown: The score as tables show it.
        teacher: The teacher's score on it as tables show it, or a dash.
        value: The score as the Hub's own tables take it: times 100, where tables show it so.
        interval: Its 95 % interval as tables show it, empty where the results do not hold what it takes.
        over: What the interval is over, such as ``300 queries``.
        difference: The difference to the teacher with its paired 95 % interval over queries or pairs, or empty.
        dataset: Hub id of the data set, empty for a set that ships with genzoo.
        dataset_revision: Its commit.
        date: ISO date of the measurement.
    """

    task: str
    metric: str
    shown: str
    teacher: str
    value: float
    interval: str = ""
    over: str = ""
    difference: str = ""
    dataset: str = ""
    dataset_revision: str = ""
    date: str = ""


@dataclass(frozen=True)
class CardSafety:
    """Safety at one utility on one safety task and its harmless twin, as tables show it.

    Attributes:
        task: The safety task.
        twin: Its harmless twin.
        utility: Share of the harmless requests that must be answered.
        shown: Share of the harmful requests that find nothing then, or that the utility is out of reach.
        interval: Its 95 % interval over the requests, or empty.
        teacher: The same of the teacher, or a dash.
    """

    task: str
    twin: str
    utility: str
    shown: str
    interval: str = ""
    teacher: str = ""


@dataclass(frozen=True)
class CardScores:
    """All that a card says about measurements.

    Attributes:
        rows: One for each task.
        safety: Safety at each utility, for each safety task with a harmless twin.
        safety_notes: What a reader must know about safety: the chance levels, or what is not known.
        teacher: The teacher's name, empty where it was not measured.
        summary: The mean difference to the teacher with its interval, in a sentence.
        conditions: Device, precision and library versions of the run, in a sentence.
        readings: Text and what its embedding was decoded to.
    """

    rows: tuple[CardScore, ...] = ()
    safety: tuple[CardSafety, ...] = ()
    safety_notes: tuple[str, ...] = ()
    teacher: str = ""
    summary: str = ""
    conditions: str = ""
    readings: tuple[tuple[str, str], ...] = ()


def write_eval_results(scores: CardScores, folder: Path) -> list[Path]:
    """Write ``.eval_results/<Task>.yaml`` for every task whose data set is on the Hub, in the Hub's own format."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    written = []
    for row in scores.rows:
        if not (row.dataset and is_commit(row.dataset_revision)):
            continue
        if not TASK.fullmatch(row.task):
            raise InputError(f"the results hold a task named {row.task!r}: no file of that name can be published")
        entry = EvalResultEntry(
            dataset_id=row.dataset,
            task_id=row.task,
            value=round(row.value, 4),
            dataset_revision=row.dataset_revision,
            date=row.date or None,
            notes=NOTES,
        )
        text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)
        written.append(write_text(folder / ".eval_results" / f"{row.task}.yaml", text))
    return written
