"""What an evaluation keeps besides the scores: the queries and passages behind them, and what embeddings decode to."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import ZooError
from genzoo.files import strict_json, write_text
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.predictions import SHOWN
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.searches.telling import Search, telling_searches

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask
    from mteb.models import ModelMeta

    from genzoo.models.decoding import Decoder

log = logging.getLogger(__name__)

EVERYDAY_QUESTIONS = (
    "where do polar bears live?",
    "how do I get red wine out of a carpet?",
    "what causes thunder and lightning?",
    "how long should I boil an egg?",
    "why is the sky blue?",
    "how can I save money on groceries?",
    "what are the symptoms of the flu?",
    "how does a refrigerator keep food cold?",
    "what should I pack for a beach holiday?",
    "how do vaccines work?",
    "who painted the Mona Lisa?",
    "how do I change a flat bicycle tyre?",
    "what is the capital of Japan?",
    "why do cats purr?",
    "how do I write a cover letter for a job?",
    "what is the difference between a virus and a bacterium?",
    "how do bees make honey?",
    "what helps against a headache?",
    "how do I train a puppy to sit?",
    "when did the Second World War end?",
)

_LONGEST = 1200  # characters kept of a document
_DECODED_TOKENS = 40
_MOST = 16  # searches that one evaluation decodes


def write_judgements(tasks: Sequence[AbsTask], output: Path, metas: Iterable[ModelMeta] | None = None) -> list[str]:
    """Write `judgements/<Task>.json` for each task on searches or pairs that has predictions; the names of tasks that failed.

    A file is left as it is while it has the task's data revision and the text of every document on top of a ranking. What it
    holds for the rankings of other models stays in it.

    Args:
        tasks: The tasks.
        output: The results folder.
        metas: Models whose rankings are read, all of the folder by default.
    """
    from mteb.abstasks import AbsTaskPairClassification, AbsTaskRetrieval, AbsTaskSTS

    folders = ["*/*"] if metas is None else [f"{meta.model_name_as_path()}/{meta.revision}" for meta in metas]
    failed = []
    for shared in tasks:
        task = copy.copy(shared)  # its data and revision must not outlive this call
        name = task.metadata.name
        found = (output.glob(f"predictions/{folder}/{name}_predictions.json") for folder in folders)
        rankings = [read_kept(path) for paths in found for path in sorted(paths)]
        is_search = isinstance(task, AbsTaskRetrieval)
        if not rankings or not (is_search or isinstance(task, AbsTaskSTS | AbsTaskPairClassification)):
            continue
        path = output / "judgements" / f"{name}.json"
        try:
            if resolve_revision := getattr(task, "resolve_revision", None):
                resolve_revision()
            revision = task.metadata.revision
            kept = read_kept(path)
            if _is_current(kept, revision, rankings):
                continue
            if kept.get("data_revision") != revision:
                kept = {}
            task.load_data()
            content = {"parts": _parts(task, rankings, kept)} if is_search else {"pairs": _gold(task)}
            facts = {"task": name, "data_revision": revision}
            write_text(path, strict_json(facts | content) + "\n")
        except Exception as error:  # noqa: BLE001  (a data set may fail in any way; the results stand without it)
            failed.append(f"{name} ({type(error).__name__})")
    return failed


def measured_searches(root: Path, metas: Iterable[ModelMeta]) -> dict[tuple[str, str], tuple[Search, ...]]:
    """The searches whose embeddings each of some models decodes, by name and revision, for those that have a result in a folder.

    These are the searches that were chosen for their tasks before, by whatever models, and the failed ones that tell most about
    these models. Where a task has none chosen yet, these are its choice from now on: reports show searches that all models decoded.
    """
    wanted = {(str(meta.name), str(meta.revision)) for meta in metas}
    try:
        store = ResultStore.load(root, only=wanted)
    except ZooError:
        return {}  # nothing was measured
    keys = [key for key in store.models if key in wanted]
    searches = telling_searches(store, keys, store.task_names(), most=_MOST, has_chosen=True)
    _choose(store.root, searches)
    return {(key.model, key.revision): searches for key in keys}


def _choose(root: Path, searches: Iterable[Search]) -> None:
    """Record the searches of each task that has none chosen yet: what other models decode later can be compared with them."""
    by_task: dict[str, list[Search]] = {}
    for search in searches:
        by_task.setdefault(search.task, []).append(search)
    for task, found in by_task.items():
        if found[0].judgements.chosen:
            continue
        path = root / "judgements" / f"{task}.json"
        content = read_kept(path)
        for search in found:
            part = content["parts"][search.query.part.subset][search.query.part.split]
            part.setdefault("chosen", []).append(search.query.query)
        write_text(path, strict_json(content) + "\n")


def keep_readings(
    name: str,
    meta: ModelMeta,
    output: Path,
    searches: Sequence[Search] = (),
    *,
    device: str | None = None,
    overwrite: bool = False,
    loaded: Any = None,
    has_everyday: bool = True,
) -> None:
    """Keep in `evidence/<model>/<revision>.json` what a zoo model's embeddings decode to.

    The everyday questions are decoded once per content of the model's files, the texts of searches once per text.

    Args:
        name: The zoo model, by the name or folder that loads it.
        meta: Its card.
        output: The results folder.
        searches: Searches whose queries, documents on top and right documents are decoded too.
        device: Where the model is loaded, its own choice if None.
        overwrite: Whether to decode again what is there already.
        loaded: The model as a SentenceTransformer, where it is loaded already and will not encode any more.
        has_everyday: Whether the everyday questions are decoded too.
    """
    from genzoo.models.loading import load_decoder
    from genzoo.tasks.embedders.mteb_models import model_content

    path = output / "evidence" / str(meta.name).replace("/", "__") / f"{meta.revision}.json"
    kept, content = read_kept(path), model_content(meta)
    decoder: Decoder | None = None
    if overwrite or kept.get("content") not in (None, content):
        kept = {}
    if has_everyday and "decoded" not in kept:
        log.info("decoding %d everyday questions with %s", len(EVERYDAY_QUESTIONS), meta.name)
        decoder = load_decoder(name, device=device, loaded=loaded)
        kept |= {"content": content, "decoded": [reading.as_dict() for reading in decoder.read(EVERYDAY_QUESTIONS)]}
        write_text(path, strict_json(kept, indent=1) + "\n")
    read = [row for row in kept.get("searches", []) if isinstance(row, dict)]
    known = {row.get("text") for row in read}
    missing = [
        ([text for text in texts if text not in known], prompt)
        for texts, prompt in zip(
            _texts_of(searches, ModelKey(str(meta.name), str(meta.revision))), ("query", "document"), strict=True
        )
    ]
    if not any(texts for texts, _ in missing):
        return
    log.info("decoding single searches with %s", meta.name)
    decoder = decoder or load_decoder(name, device=device, loaded=loaded)
    for texts, prompt in missing:
        found = decoder.read(texts, prompt_name=prompt, max_new_tokens=_DECODED_TOKENS, truncate=True) if texts else []
        read += [reading.as_dict() for reading in found]
    write_text(path, strict_json({**kept, "content": content, "searches": read}, indent=1) + "\n")


def _texts_of(searches: Iterable[Search], key: ModelKey) -> tuple[list[str], list[str]]:
    """The queries of some searches, and the documents that a model ranked first or should have."""
    found = [search for search in searches if key in search.outcomes]
    documents = (
        search.document(hit)
        for search in found
        for hit in (*(each.document for each in search.outcomes[key].top[:1]), *search.right[:1])
    )
    return list(dict.fromkeys(search.text for search in found)), list(dict.fromkeys(documents))


def read_kept(path: Path) -> dict[str, Any]:
    """What a file of the results folder holds; nothing where there is none, or where it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_current(kept: dict[str, Any], revision: str, rankings: list[dict[str, Any]]) -> bool:
    if kept.get("data_revision") != revision:
        return False
    try:
        return all(
            set(_top(rankings, subset, split)) <= set(content["documents"])
            for subset, splits in kept.get("parts", {}).items()
            for split, content in splits.items()
        )
    except (AttributeError, KeyError, TypeError):
        return False  # damaged: written anew


def _top(rankings: list[dict[str, Any]], subset: str, split: str) -> list[str]:
    """The documents that any model ranked on top of any query."""
    found: dict[str, None] = {}
    for ranking in rankings:
        with contextlib.suppress(
            AttributeError, KeyError, TypeError
        ):  # one model's damaged file takes nothing from others
            for hits in ranking.get(subset, {}).get(split, {}).values():
                found.update(dict.fromkeys(sorted(hits, key=lambda name: (hits[name], name), reverse=True)[:SHOWN]))
    return list(found)


def _parts(task: Any, rankings: list[dict[str, Any]], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Queries, relevance and the texts that matter, now or for what was kept before, by subset and split."""
    parts: dict[str, Any] = {}
    for subset, splits in task.dataset.items():
        for split, data in splits.items():
            relevance = {str(query): dict(right) for query, right in data["relevant_docs"].items()}
            judged = {name for grades in relevance.values() for name, grade in grades.items() if grade != 0}
            wanted, earlier = judged | set(_top(rankings, subset, split)), dict[str, Any]()
            with contextlib.suppress(AttributeError, KeyError, TypeError):  # damaged, or without these
                earlier = dict(kept["parts"][subset][split].items())
                wanted |= set(earlier["documents"])
            queries = {str(row["id"]): _text(row) for row in data["queries"]}
            places = [place for place, name in enumerate(data["corpus"]["id"]) if name in wanted]
            documents = {str(row["id"]): _text(row)[:_LONGEST] for row in data["corpus"].select(places)}
            parts.setdefault(subset, {})[split] = {
                "n_documents": len(data["corpus"]),  # those without a text here included: chance levels need it
                "queries": queries,
                "relevance": relevance,
                "documents": documents,
                **({"chosen": earlier["chosen"]} if isinstance(earlier.get("chosen"), list) else {}),
            }
    return parts


def _gold(task: Any) -> dict[str, Any]:
    """What people said of each pair, by subset and split, in the data's order."""
    gold: dict[str, Any] = {}
    column = getattr(task, "label_column_name", "score")
    for subset in task.hf_subsets:
        # mteb's rule: without languages the splits lie on top
        splits = task.dataset if subset == "default" and subset not in task.dataset else task.dataset[subset]
        for split in task.eval_splits:
            said = splits[split][column]
            whole = said[0] if isinstance(said[0], list) else said  # old data sets hold all pairs in a row
            gold.setdefault(subset, {})[split] = list(whole)
    return gold


def _text(row: dict[str, Any]) -> str:
    """Title and text as mteb puts them together."""
    return f"{row.get('title') or ''} {row['text']}".strip()
