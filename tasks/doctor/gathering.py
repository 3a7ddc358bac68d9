"""What was found of both sides of a search, so that one fault of both is said once, and who made what nothing explains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.backbones.entries import local_backbone
from genzoo.models.entries import ENTRIES, find_entry
from genzoo.tasks.doctor.matching import FULL, SAME, Answers, Match, explain, resemblance
from genzoo.tasks.doctor.variants import RIGHT, ReferenceModel
from genzoo.tasks.doctor.words import Deviation, in_words

_RESEMBLES = 0.2
"""How much larger the mean cosine to the model's embedding of the same text is than to those of others, if the model is related."""


class Gathered:
    """Gathers what was found of both sides, so that one fault of both is said once."""

    def __init__(self, model: ReferenceModel) -> None:
        self._model = model
        self._found: dict[tuple[str, tuple[tuple[str, Any], ...]], dict[str, tuple[int, int]]] = {}
        self._others: dict[str, ReferenceModel] = {}
        self._unknown: list[tuple[Answers, Match]] = []

    def add(self, code: str, answers: Answers, rows: Sequence[int], **facts: Any) -> None:
        """A fault of some texts."""
        parts = self._found.setdefault((code, tuple(facts.items())), {})
        before = parts.get(answers.side, (0, 0))[0]
        parts[answers.side] = (before + len(rows), len(answers.texts))

    def keep(self, answers: Answers, match: Match) -> None:
        """All that a match says; what nothing explains is kept for `identify`."""
        if match.variant is None:
            self._unknown.append((answers, match))
            return
        for code in match.variant.faults:
            self.add(code, answers, match.rows)
        if limit := match.variant.limit:
            self.add(
                "cut-short" if limit < self._model.checkpoint.max_tokens else "cut-late",
                answers,
                match.rows,
                limit=limit,
            )
        width = len(self._model.embed(match.variant, answers.side, answers.texts[:1])[0])
        if answers.vectors.shape[1] < width:
            self.add("truncated", answers, match.rows, kept=answers.vectors.shape[1], width=width)
        if answers.precision != FULL:
            self.add("rounded", answers, match.rows, precision=answers.precision)
        elif match.is_near:
            self.add("low-precision", answers, match.rows)
        elif match.distance > SAME and len(match.rows) == len(answers.texts):
            self.add("bfloat16", answers, match.rows)

    def identify(self, others: Sequence[str | Path]) -> None:
        """Say of vectors that nothing explains which other model made them, as far as one is known."""
        for answers, match in self._unknown:
            left = answers.part(match.rows)
            if named := self._maker(map(str, others), left):
                self.add("known-model", answers, match.rows, named=named)
            elif longest := self._longest_explained(answers, match):
                self.add("cut-elsewhere", answers, match.rows, longest=longest)
            elif named := self._maker(self._of_the_zoo(left.vectors.shape[1]), left):
                self.add("known-model", answers, match.rows, named=named)
            else:
                same, far = resemblance(left, self._model.embed(RIGHT, left.side, left.texts))
                code = "another-revision" if same - far > _RESEMBLES else "another-model"
                cosine = f"mean cosine {same:.2f}, to those of other texts {far:.2f}"
                if np.isnan(same):
                    cosine = f"{left.vectors.shape[1]} numbers in place of {self._model.widths[0]}"
                self.add(code, answers, match.rows, cosine=cosine)

    def deviations(self) -> Iterator[Deviation]:
        """Every fault once, with the texts that it concerns."""
        own = {"own": self._model.checkpoint.max_tokens, "model": self._model.name}
        for (code, facts), parts in self._found.items():
            who = in_words(parts)
            prompts = quoted({side: self._model.prompts[side] for side in parts})
            yield Deviation.of(code, who=who, Who=who[0].upper() + who[1:], prompts=prompts, **own, **dict(facts))

    def _longest_explained(self, answers: Answers, match: Match) -> int:
        """Tokens of the longest text that is explained, where all others are longer; 0 where they are not."""
        lengths = [self._model.n_tokens(answers.side, text) for text in answers.texts]
        explained = [length for row, length in enumerate(lengths) if row not in match.rows]
        shortest = min(lengths[row] for row in match.rows)
        return max(explained) if explained and max(explained) < shortest else 0

    def _of_the_zoo(self, width: int) -> Iterator[str]:
        """Models of the zoo that give embeddings of a width and whose files are on this machine."""
        for entry in ENTRIES:
            if entry.dim == width and entry != find_entry(self._model.name) and local_backbone(entry.backbone):
                yield entry.name

    def _maker(self, names: Iterable[str], answers: Answers) -> str:
        """The first of some models that explains most of some vectors; empty where none does."""
        for name in names:
            if name not in self._others:
                self._others[name] = ReferenceModel(name)
            matches = explain(self._others[name], answers)
            if 2 * sum(len(match.rows) for match in matches if match.variant and not match.is_near) > len(
                answers.texts
            ):
                return name
        return ""


def quoted(prompts: Mapping[str, str]) -> str:
    """The prompts, each with the side that it is for."""
    return " and ".join(f"{text!r} before a {side}" for side, text in prompts.items())
