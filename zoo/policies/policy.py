"""A content policy taught by examples: which queries of a log get a refusal as their response.

The frozen LLM judges by its own hidden states (`genzoo.policies.probe`), so that no other model is needed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.backbones.generation import Query
from genzoo.errors import InputError, TrainingError
from genzoo.files import append, appending, parts_digest, read_json, write_json
from genzoo.jobs import Shard, report
from genzoo.policies.probe import LinearProbe, chat_states, fit_probe
from genzoo.recipes.fields import PolicyOptions
from genzoo.recipes.recipes import Recipe
from genzoo.tables import Row, read_rows, table_rows
from genzoo.text import plural, shorten

log = logging.getLogger(__name__)
DEFAULT = "default"
"""Stands for the examples that come with genzoo (Apache-2.0, written for it)."""
FEWEST, MOST = 8, 1_000
"""Examples: of each kind at least, so that a cross-validation has some to hold out, and in all at most."""
BLOCK, SAMPLE = 256, 256
"""Queries that are judged and kept together, and those that are judged before all others."""
SUREST = 0.005
"""Share of the harmless examples that the LLM finds as refused as a query that it would surely refuse."""
SHOWN = 10
"""Queries on each side of the threshold that the summary names."""
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_EXPECTED = 'two fields, text and refuse (true or false), such as {"text": "how do I rob a bank", "refuse": true}'
Load = Callable[[], tuple[Any, Any]]
"""Gives the LLM and its tokenizer."""


@dataclass(frozen=True)
class PolicyExample:
    """A request, and whether it is to be refused."""

    text: str
    refuse: bool


def read_examples(source: str) -> list[PolicyExample]:
    """The examples of a policy, each text once.

    Args:
        source: A ``.jsonl``, ``.csv`` or ``.tsv`` file (also with ``.gz``) with the fields text and refuse, or ``default``.

    Raises:
        InputError: For a missing or unreadable file, a row without text or with another value than true or false, a text
            that is both refused and answered, and too few or too many examples.
    """
    path = Path(__file__).with_name("examples.jsonl") if source == DEFAULT else Path(source)
    if not path.is_file():
        raise InputError(f"there is no policy file {path}: give a .jsonl, .csv or .tsv file, or default")
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind not in ("jsonl", "csv", "tsv"):
        raise InputError(f"{path} has an unknown ending: a policy is a .jsonl, .csv or .tsv file (also with .gz)")
    rows = read_rows(path) if kind == "jsonl" else table_rows(path, "\t" if kind == "tsv" else ",")
    found: dict[str, tuple[bool, int]] = {}
    for row in rows:
        text, refuse = row.text("text").strip(), _is_refused(row)
        if not text:
            raise row.error(f"the text is empty: each example needs {_EXPECTED}")
        before, line = found.setdefault(text, (refuse, row.line))
        if before != refuse:
            raise row.error(f"{shorten(text, 60)!r} has the opposite answer on line {line}: keep one of the two")
    examples = [PolicyExample(text, refuse) for text, (refuse, _) in found.items()]
    _check_counts(path, examples)
    return examples


def _is_refused(row: Row) -> bool:
    value = row.value("refuse")
    answer = value if isinstance(value, bool) else _WORDS.get(str(value).strip().lower())
    if answer is None:
        raise row.error(f"refuse is {value!r:.40}: it is true or false")
    return answer


def _check_counts(path: Path, examples: Sequence[PolicyExample]) -> None:
    refused = sum(one.refuse for one in examples)
    harmless = len(examples) - refused
    if not examples:
        raise InputError(f"{path} holds no example: each row has {_EXPECTED}")
    if min(refused, harmless) < FEWEST:
        raise InputError(
            f"{path} holds {plural(refused, 'example')} to refuse and {harmless:,} to answer: give at least {FEWEST} of each; "
            "twenty of each are a good start, the harmless ones as similar to the others as they can be"
        )
    if len(examples) > MOST:
        raise InputError(f"{path} holds {len(examples):,} examples, at most {MOST:,} are read: choose fewer")


def policy_content(examples: Sequence[PolicyExample]) -> str:
    """16 hex characters over every example, in order."""
    return parts_digest(f"{one.text}\0{one.refuse}" for one in examples)


def with_content(recipe: Recipe) -> Recipe:
    """The recipe with the digest of its policy's examples, so that other examples make another recipe."""
    if not recipe.policy.examples:
        return recipe
    content = policy_content(read_examples(recipe.policy.examples))
    return replace(recipe, policy=replace(recipe.policy, content=content))


class Policy:
    """Judges the queries of a log; what it needs of the LLM it keeps in a folder, so that a stopped run goes on there.

    Args:
        options: Of the recipe.
        system_prompt: That the LLM is asked under.
        folder: Where policies of this LLM are kept; one on other examples gets a folder of its own.
        made_with: Digest of the LLM and of how it is asked.
        seed: Of the cross-validation.
    """

    def __init__(
        self, options: PolicyOptions, system_prompt: str | None, folder: Path, made_with: str, seed: int = 0
    ) -> None:
        self.options, self.system_prompt, self.seed = options, system_prompt, seed
        self.examples = read_examples(str(options.examples))
        self.folder = folder / parts_digest([made_with, policy_content(self.examples), str(seed)])

    def judge(self, queries: Sequence[Query], load: Load, shard: Shard | None = None) -> dict[str, float]:
        """Query -> how far its reading exceeds the threshold; those above 0 are refused. Of this shard, and others that are known.

        Raises:
            TrainingError: Where the LLM cannot tell the examples apart, or the policy refuses too much of the log.
        """
        shard = shard or Shard()
        mine = queries[shard.number - 1 :: shard.count]
        known = self._known()
        if not all(query.text in known for query in mine):
            self._check_before(mine, load)
            known = self._judge(mine, load, self.folder / shard.file_name("scores", ".jsonl"))
        report("policy", len(mine), len(mine))
        threshold = self.probe.threshold(self.options.false_refusals)
        margins = {query.text: known[query.text] - threshold for query in queries if query.text in known}
        self._check_share(list(margins.values()))
        return margins

    def refusal(self, queries: Sequence[Query], load: Load) -> dict[str, float]:
        """Query -> how refused the LLM finds it: 0 as harmless examples on average, 1 as only `SUREST` of them, by probes that have not seen them.

        Raises:
            TrainingError: As `judge`.
        """
        threshold = self.probe.threshold(self.options.false_refusals)
        low = float(np.mean(self.probe.harmless))
        span = max(self.probe.threshold(SUREST) - low, 1e-6)
        return {text: (margin + threshold - low) / span for text, margin in self.judge(queries, load).items()}

    @cached_property
    def probe(self) -> LinearProbe:
        """The probe, as it was fitted when the first query was judged."""
        facts = read_json(self.folder / "probe.json", "delete it, and the probe is fitted again", error=TrainingError)
        kept: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}
        return LinearProbe(**kept)

    def _check_before(self, queries: Sequence[Query], load: Load) -> None:
        """Fit the probe where that was not done, and judge some queries from all over the log before hours go into the others."""
        if not (self.folder / "probe.json").is_file():
            report("policy", 0, len(queries), f"{len(self.examples)} examples")
            states = chat_states(load(), [one.text for one in self.examples], self.system_prompt)
            probe = fit_probe(states, [one.refuse for one in self.examples], self.seed)
            write_json(self.folder / "probe.json", asdict(probe), indent=None)
        if self.probe.auc < self.options.least_auc:
            raise TrainingError(
                f"the LLM cannot tell the policy's examples apart: its cross-validated AUC is {self.probe.auc:.2f}, at least "
                f"{self.options.least_auc:g} (policy.least_auc) is wanted and 0.5 is chance; give more or clearer examples, or a "
                "larger LLM"
            )
        sample = [query.text for query in queries[:: max(1, len(queries) // SAMPLE)][:SAMPLE]]
        _note_language([one.text for one in self.examples], sample)
        readings = self.probe.read(chat_states(load(), sample, self.system_prompt))
        self._check_share((readings - self.probe.threshold(self.options.false_refusals)).tolist())

    def _judge(self, queries: Sequence[Query], load: Load, path: Path) -> dict[str, float]:
        """Judge block by block; a block that was not finished is computed whole again, so that rounding is the same."""
        with appending(path) as file:
            known = self._known()
            for start in range(0, len(queries), BLOCK):
                block = [query.text for query in queries[start : start + BLOCK]]
                report("policy", start, len(queries))
                if all(text in known for text in block):
                    continue
                readings = self.probe.read(chat_states(load(), block, self.system_prompt)).tolist()
                new = {text: reading for text, reading in zip(block, readings, strict=True) if text not in known}
                lines = [json.dumps({"query": text, "reading": one}, ensure_ascii=False) for text, one in new.items()]
                append(file, "".join(f"{line}\n" for line in lines).encode())
                known.update(new)
        return known

    def _known(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for path in sorted(self.folder.glob("scores*.jsonl")):
            for line in path.read_bytes().splitlines(keepends=True):
                try:
                    if line.endswith(b"\n"):  # one that was cut off is judged again
                        row = json.loads(line)
                        found.setdefault(row["query"], float(row["reading"]))
                except (ValueError, KeyError, TypeError) as error:
                    raise TrainingError(
                        f"{path} is damaged ({error}): delete it, and the queries are judged again"
                    ) from error
        return found

    def _check_share(self, margins: Sequence[float]) -> None:
        share = sum(margin > 0 for margin in margins) / max(1, len(margins))
        if share > self.options.at_most:
            raise TrainingError(
                f"the policy refuses {share:.0%} of the {len(margins):,} queries judged, at most {self.options.at_most:.0%} "
                "(policy.at_most) is allowed: add harmless examples that look like the log, lower "
                "policy.false_refusals, or raise policy.at_most if so many are harmful"
            )

    def summary(self, margins: Mapping[str, float]) -> dict[str, Any]:
        """What the policy does to a log, for people and for the card; no query is part of it."""
        refused, probe = sum(margin > 0 for margin in margins.values()), self.probe
        return {
            "examples": len(self.examples),
            "examples_refused": sum(one.refuse for one in self.examples),
            "examples_content": policy_content(self.examples),
            "layers": [probe.layers[0], probe.layers[-1]],
            "strength": probe.strength,
            "auc": round(probe.auc, 4),
            "false_refusals": self.options.false_refusals,
            "threshold": probe.threshold(self.options.false_refusals),
            "queries": len(margins),
            "refused": refused,
        }

    def keep(self, margins: Mapping[str, float], path: Path) -> None:
        """Write what the policy does beside the run, with the queries next to the threshold, and say it in a few lines."""
        order = sorted(margins, key=lambda text: margins[text])
        refused = [text for text in order if margins[text] > 0]
        kept = order[: len(order) - len(refused)]
        nearest = {"nearest_refused": refused[:SHOWN], "nearest_answered": kept[::-1][:SHOWN]}
        facts = self.summary(margins) | nearest | {"most_refused": refused[::-1][:SHOWN]}
        if path.is_file() and read_json(path, "delete it") == facts:
            return
        write_json(path, facts, indent=2)
        log.info(
            f"policy: {len(self.examples)} examples, cross-validated AUC {self.probe.auc:.2f}; {len(refused):,} of "
            f"{len(margins):,} queries ({len(refused) / max(1, len(margins)):.1%}) get a refusal; {path} shows some"
        )
        if not refused:
            log.warning("the policy refuses no query of the log: it changes nothing")
        for title, texts in (("refused", refused[:3]), ("answered", kept[::-1][:3])):
            log.info(f"policy, nearest {title}: {'; '.join(repr(shorten(text, 60)) for text in texts)}")


def _note_language(examples: Sequence[str], queries: Sequence[str]) -> None:
    """Warn where the examples as a whole are in another language than the log."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    tell = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    theirs, ours = (tell.classify("\n".join(texts)[:20_000])[0] for texts in (examples, queries))
    if theirs != ours:
        log.warning(
            f"the policy's examples seem to be in another language than the log ({theirs}, {ours}): what an LLM learns from them "
            "may not hold there; look at the refused queries in policy.json"
        )
