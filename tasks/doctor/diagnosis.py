"""What a running client, an endpoint or an index does to a model, found by comparing its vectors with the model's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genzoo.errors import ZooError
from genzoo.frames import Rows, facts_to_html
from genzoo.jobs import job
from genzoo.models.entries import DEFAULT
from genzoo.tasks.doctor.clients import ASKED, Client, open_client
from genzoo.tasks.doctor.gathering import Gathered, quoted
from genzoo.tasks.doctor.matching import FULL, Answers, explain
from genzoo.tasks.doctor.stores import Stored, is_stored, read_stored
from genzoo.tasks.doctor.variants import QUERY, RIGHT, ReferenceModel
from genzoo.tasks.doctor.words import Deviation, in_words
from genzoo.tasks.embedders.transport import EndpointError
from genzoo.text import first_line

log = logging.getLogger(__name__)
Verdict = Literal["right", "wrong"]
_UNIT = 1e-2  # how far from 1 the length of a vector may be: bfloat16 rounds it


@dataclass(frozen=True)
class Compared:
    """The texts of one side.

    Attributes:
        side: ``query`` or ``document``.
        n_texts: How many were compared.
        explained: How many are embedded in a way that is known here, right or wrong.
        cosine: The smallest cosine between a vector and what the explanation gives, of numbers rounded alike and with a policy's axis
            counted a quarter (`genzoo.backbones.precision.damped`); NaN where nothing is explained.
        cosine_to_right: The smallest cosine between a vector and the model's embedding; NaN for another width, or a vector that is
            not finite or zero.
    """

    side: str
    n_texts: int
    explained: int
    cosine: float
    cosine_to_right: float


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        target: What was asked, or where the vectors are stored.
        model: What it should be.
        compared: A row for each side.
        deviations: Faults first, then cautions, then facts.
    """

    target: str
    model: str
    compared: Rows[Compared]
    deviations: Rows[Deviation]

    @property
    def verdict(self) -> Verdict:
        """``wrong`` where a fault was found: rankings are not those of the model."""
        return "wrong" if any(row.severity == "fault" for row in self.deviations) else "right"

    @property
    def exit_code(self) -> int:
        """What ``genzoo doctor`` ends with: 0 right, 1 wrong."""
        return int(self.verdict == "wrong")

    @property
    def summary(self) -> str:
        """The verdict with the figures, as a sentence."""
        texts = " and ".join(
            f"{row.n_texts} {'queries' if row.side == 'query' else 'documents'}" for row in self.compared
        )
        cosine = np.min([row.cosine_to_right for row in self.compared])
        near = f"smallest cosine to the model's embedding {cosine:.4f}"
        if np.isnan(cosine):
            is_finite = all(row.code != "not-finite" for row in self.deviations)
            near = "the vectors have another width" if is_finite else "not all numbers are finite"
        return f"{self.verdict}: {texts} compared with {self.model}, {near}"

    def to_frame(self) -> Any:
        """The deviations as a DataFrame, a row for each; `compared` has a `to_frame` of its own."""
        return self.deviations.to_frame()

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "target": self.target,
            "model": self.model,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "summary": self.summary,
            "compared": [asdict(row) for row in self.compared],
            "deviations": [asdict(row) for row in self.deviations],
        }

    def _repr_html_(self) -> str:
        facts = [("target", self.target), ("verdict", self.summary)]
        return facts_to_html([*facts, *((row.severity, f"{row.text} {row.advice}") for row in self.deviations)])


@job("loading the model")
def doctor(target: Any, model: str | Path = DEFAULT, *, others: Sequence[str | Path] = ()) -> Diagnosis:
    """Say in words what a running client, an endpoint or an index does to a model: whether it is right, and if not, what is wrong.

    A client is asked for the embeddings of a dozen fixed texts; of an index a sample of texts with their vectors is read. Both are
    compared with the model's own embeddings: right ones, and those under each fault that clients are known for.

    Args:
        target: ``URL#MODEL`` of an OpenAI-compatible endpoint; a folder; an object that embeds (sentence-transformers, LangChain,
            LlamaIndex, Chroma, LanceDB, or any with ``encode``), a function of a list of texts, or a pair of them for queries and
            documents; the name of an object as ``module:name``; stored vectors as ``vectors:FOLDER``,
            ``chroma:FOLDER#COLLECTION`` or ``lancedb:FOLDER#TABLE``.
        model: What it should be: a zoo model, a checkpoint folder, an exported folder, or ``org/name@<commit>`` on the Hub.
        others: Further models that it may be, such as the revision before; models of the zoo whose files are on this machine are
            tried by themselves.

    Returns:
        The deviations, in words and with codes.

    Raises:
        InputError: The target is none of these, or is not there.
        ZooError: The model cannot be loaded, or the target cannot be asked.
    """
    if is_stored(target):
        stored = read_stored(target)
        return _of_stored(str(target), stored, ReferenceModel(str(model)), others)
    with open_client(target) as client:
        client.ask(QUERY, ASKED[QUERY][:1], "")  # a client that cannot be asked says so before the model is loaded
        return _of_client(client, ReferenceModel(str(model)), others)


def _of_stored(name: str, stored: Stored, model: ReferenceModel, others: Sequence[str | Path]) -> Diagnosis:
    log.info("comparing vectors")
    answers = [Answers.of(side, texts, vectors, model) for side, (texts, vectors) in stored.sides.items() if texts]
    lengths = _other_lengths(answers)
    found = []
    if lengths and stored.space not in ("cosine", ""):
        found.append(Deviation.of("distance", space=stored.space, lengths=lengths))
    elif lengths and not stored.space:
        found.append(Deviation.of("not-normalised", lengths=lengths))
    return _diagnosis(name, model, answers, others, found)


def _of_client(client: Client, model: ReferenceModel, others: Sequence[str | Path]) -> Diagnosis:
    log.info("asking the client")
    found: list[Deviation] = []
    answers = []
    for side, texts in ASKED.items():
        asked, vectors = _ask(client, model, side, texts, found)
        answers.append(Answers.of(side, asked, vectors, model))
    found += _batch(client, model, answers[0])
    if lengths := _other_lengths(answers):
        found.append(Deviation.of("not-normalised", lengths=lengths))
    made = _diagnosis(client.name, model, answers, others, found)
    if made.verdict == "right" and not client.puts_prompts:
        fact = Deviation.of("prompts-by-caller", prompts=quoted(model.prompts))
        return Diagnosis(made.target, made.model, made.compared, Rows([*made.deviations, fact]))
    return made


def _ask(
    client: Client, model: ReferenceModel, side: str, texts: Sequence[str], found: list[Deviation]
) -> tuple[Sequence[str], np.ndarray]:
    """The vectors of some texts; without the longest one where the client refuses it."""
    prompt = model.prompts[side]
    *others, longest = sorted(texts, key=len)
    vectors = client.ask(side, others, prompt)
    try:
        last = client.ask(side, [longest], prompt)
    except EndpointError as error:
        facts = {"longest": model.n_tokens(side, longest), "said": first_line(error), "who": in_words({side: (1, 1)})}
        found.append(Deviation.of("long-text-refused", **facts))
        return others, vectors
    if last.shape[1] != vectors.shape[1]:
        raise ZooError(f"{client.name} gave vectors of {vectors.shape[1]} and of {last.shape[1]} numbers")
    return [*others, longest], np.concatenate([vectors, last])


def _batch(client: Client, model: ReferenceModel, together: Answers) -> Iterator[Deviation]:
    """Whether a text alone gets the embedding that it gets in a batch."""
    vectors = client.ask(together.side, together.texts[:1], model.prompts[together.side])
    alone = Answers.of(together.side, together.texts[:1], vectors, model)
    if together.precision == alone.precision == FULL and alone.vectors.shape[1] == together.vectors.shape[1]:
        gap = float(together.distances([0], alone.vectors)[0])
        if gap > together.tolerance:
            yield Deviation.of("batch", cosine=1 - gap**2 / 2)


def _other_lengths(answers: Sequence[Answers]) -> str:
    """The lengths of the vectors in words; empty where they are 1, or where the numbers are rounded and have none."""
    if any(one.precision != FULL for one in answers):
        return ""
    found = np.concatenate([np.linalg.norm(one.vectors, axis=1) for one in answers])
    if not np.isfinite(found).all() or np.abs(found - 1).max() <= _UNIT:
        return ""
    return f"{found.min():.3g} to {found.max():.3g}"


def _diagnosis(
    name: str,
    model: ReferenceModel,
    answers: Sequence[Answers],
    others: Sequence[str | Path],
    found: Sequence[Deviation],
) -> Diagnosis:
    """Explain the vectors of every side, and say it in words."""
    compared, kept = [], Gathered(model)
    for one in answers:
        ours = model.embed(RIGHT, one.side, one.texts)
        if not (np.isfinite(one.vectors).all() and np.abs(one.vectors).sum(axis=1).all()):
            compared.append(Compared(one.side, len(one.texts), 0, float("nan"), float("nan")))
            kept.add("not-finite", one, range(len(one.texts)))
            continue
        matches = explain(model, one)
        for match in matches:
            kept.keep(one, match)
        gaps = replace(one, axis=None).distances(range(len(one.texts)), ours)
        known = [match for match in matches if match.variant]
        far = max((match.distance for match in known), default=float("nan"))
        to_right = float(1 - gaps.max() ** 2 / 2) if np.isfinite(gaps).all() else float("nan")
        n_known = sum(len(match.rows) for match in known)
        compared.append(Compared(one.side, len(one.texts), n_known, 1 - far**2 / 2, to_right))
    kept.identify(others)
    order = ("fault", "caution", "fact")
    rows = sorted([*kept.deviations(), *found], key=lambda row: order.index(row.severity))
    return Diagnosis(name, model.name, Rows(compared), Rows(rows))
