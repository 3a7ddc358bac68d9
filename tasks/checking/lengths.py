"""How many texts a model would cut: counted by its tokenizer, without its weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from genzoo.duplicates import Texts
from genzoo.jobs import report
from genzoo.tasks.checking.readers import Reader

SAMPLE = 10_000
"""Texts of a part that are tokenized; of more, a random sample of so many, and the longest ones."""
_LONGEST = 100
_BATCH = 1_000


@dataclass(frozen=True)
class Lengths:
    """Lengths of the texts of one part for one model; without the prompt and without what the model adds.

    Attributes:
        model: Name of the model.
        part: ``passages``, ``queries`` or ``texts``.
        n_texts: How many texts the part has.
        n_counted: How many the figures rest on: all of them, or a random sample.
        median: Of the counted texts.
        percentile_95: The length that 95 % of them do not exceed.
        longest: The longest of all texts.
        room: Longest text that the model reads whole; None where it reads every text, or where that is not known (`unit`).
        n_cut: How many texts are longer than that; scaled up from the sample where there is one, and at least those that were found.
        cut_tokens: Share of all tokens that would not be read, 0 to 1.
        unit: ``tokens``, or ``words`` where nobody knows the tokens: what would be cut is not known then.
    """

    model: str
    part: str
    n_texts: int
    n_counted: int
    median: float
    percentile_95: float
    longest: int
    room: int | None
    n_cut: int
    cut_tokens: float
    unit: str = "tokens"

    @property
    def is_estimated(self) -> bool:
        """Whether the figures come from a sample."""
        return self.n_counted < self.n_texts

    @property
    def cut_share(self) -> float:
        """Share of the texts that would be cut, 0 to 1."""
        return self.n_cut / self.n_texts if self.n_texts else 0.0

    def as_row(self) -> dict[str, Any]:
        """All fields, by name."""
        return asdict(self)


def count_tokens(readers: Iterable[Reader], texts: Texts, part: str, side: str) -> list[Lengths]:
    """Lengths of the texts of a part for each model.

    Args:
        readers: The models.
        texts: Of any number; of more than `SAMPLE`, so many are drawn at random, always the same ones, beside the longest.
        part: What they are called in the result.
        side: Which prompt is put before them: ``query`` or ``document``.
    """
    places, n_drawn = _chosen(texts)
    counts: dict[tuple[Any, ...], tuple[int, np.ndarray]] = {}
    found = []
    for reader in readers if len(texts) else ():
        if reader.tokenizer is None and reader.unit == "tokens":
            continue
        key = reader.tokenizer, reader.prompt(side), reader.is_plain
        if key not in counts:
            counts[key] = _count(reader, texts, places, f"{part}, tokens of {reader.model}", side)
        around, inside = counts[key]
        found.append(_lengths(reader, part, len(texts), around + reader.n_added, inside, n_drawn))
    return found


def _chosen(texts: Texts) -> tuple[list[int], int]:
    """Places of the texts that are tokenized: those of the sample, how many these are, and behind them the longest of the others."""
    if len(texts) <= SAMPLE:
        return list(range(len(texts))), len(texts)
    drawn = np.sort(np.random.default_rng(0).choice(len(texts), SAMPLE, replace=False))
    starts = range(0, len(texts), _BATCH)
    characters = np.concatenate([np.array([len(text) for text in texts[start : start + _BATCH]]) for start in starts])
    characters[drawn] = -1
    return [*drawn.tolist(), *np.argsort(-characters, kind="stable")[:_LONGEST].tolist()], SAMPLE


def _count(reader: Reader, texts: Texts, places: Sequence[int], stage: str, side: str) -> tuple[int, np.ndarray]:
    """Tokens of the prompt and of what is put around a text, and those of each text beyond these."""
    if reader.tokenizer is None:
        return 0, np.array([len(texts[place].split()) for place in places])
    tokenizer, prompt = reader.open(), reader.prompt(side)
    around = len(tokenizer.encode(prompt).ids)
    counts = np.zeros(len(places), np.int64)
    for start in range(0, len(places), _BATCH):
        part = places[start : start + _BATCH]
        encoded = tokenizer.encode_batch_fast([prompt + texts[place] for place in part])
        counts[start : start + len(part)] = [len(each.ids) for each in encoded]
        report(stage, start + len(part), len(places))
    return around, np.maximum(counts - around, 0)


def _lengths(reader: Reader, part: str, n_texts: int, around: int, counts: np.ndarray, n_drawn: int) -> Lengths:
    room = None if reader.max_tokens is None else max(0, reader.max_tokens - around)
    over = np.zeros_like(counts) if room is None else np.maximum(counts - room, 0)
    drawn, share = counts[:n_drawn], float(np.mean(over[:n_drawn] > 0))
    return Lengths(
        model=reader.model,
        part=part,
        n_texts=n_texts,
        n_counted=n_drawn,
        median=float(np.median(drawn)),
        percentile_95=float(np.percentile(drawn, 95)),
        longest=int(counts.max()),
        room=room,
        n_cut=max(round(share * n_texts), int((over > 0).sum())),
        cut_tokens=float(over[:n_drawn].sum() / max(1, drawn.sum())),
        unit=reader.unit,
    )
