"""What an evaluation writes so that a report can show single searches: judgements, and decoded queries and documents."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import ZooError
from genzoo.files import strict_json, write_text

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask
    from mteb.models import ModelMeta


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


_SHOWN = 5  # documents on top of each ranking whose texts are kept
_LONGEST = 1200  # characters kept of a document
_DECODED_TOKENS = 40


def write_judgements(tasks: Sequence[AbsTask], output: Path) -> list[str]:
    """Write `judgements/<Task>.json` for each task on searches or pairs that has predictions; the names of tasks that failed.

    A file is left as it is while it has the task's data revision and the text of every document on top of a ranking.
    """
    from mteb.abstasks import AbsTaskPairClassification, AbsTaskRetrieval, AbsTaskSTS

    failed = []
    for shared in tasks:
        task = copy.copy(shared)  # its data and revision must not outlive this call
        name = task.metadata.name
        rankings = [read_kept(path) for path in sorted((output / "predictions").glob(f"*/*/{name}_predictions.json"))]
        is_search = isinstance(task, AbsTaskRetrieval)
        if not rankings or not (is_search or isinstance(task, AbsTaskSTS | AbsTaskPairClassification)):
            continue
        path = output / "judgements" / f"{name}.json"
        try:
            if resolve_revision := getattr(task, "resolve_revision", None):
                resolve_revision()
            revision = task.metadata.revision
            if _is_current(read_kept(path), revision, rankings):
                continue
            task.load_data()
            content = {"parts": _parts(task, rankings)} if is_search else {"pairs": _gold(task)}
            facts = {"task": name, "data_revision": revision}
            write_text(path, strict_json(facts | content) + "\n")
        except Exception as error:  # noqa: BLE001  (a data set may fail in any way; the results stand without it)
            failed.append(f"{name} ({type(error).__name__})")
    return failed


def has_results(meta: ModelMeta, output: Path) -> bool:
    """Whether any task of a model was finished."""
    folder = output / "results" / str(meta.name).replace("/", "__").replace(" ", "_") / str(meta.revision)
    return any(path.name != "model_meta.json" for path in folder.glob("*.json"))


def write_searches(name: str, meta: ModelMeta, output: Path, device: str | None) -> None:
    """Add to a zoo model's evidence what it reads in the queries and documents of the most telling searches."""
    from genzoo.leaderboards import ResultStore
    from genzoo.leaderboards.searches import telling_searches
    from genzoo.models.loading import load_decoder

    path = output / "evidence" / str(meta.name).replace("/", "__") / f"{meta.revision}.json"
    try:
        store = ResultStore.load(output)
    except ZooError:
        return  # nothing was measured
    key = next((key for key in store.models if key == (meta.name, meta.revision)), None)
    searches = telling_searches(store, list(store.models), store.task_names()) if key else ()
    queries = dict.fromkeys(search.text for search in searches)
    documents = dict.fromkeys(
        search.document(hit)
        for search in searches
        if key is not None and key in search.outcomes
        for hit in (*(each.document for each in search.outcomes[key].top[:1]), *search.right[:1])
    )
    kept = read_kept(path)
    known = {row.get("text") for row in kept.get("searches", []) if isinstance(row, dict)}
    if not searches or known >= {*queries, *documents}:
        return
    decoder = load_decoder(name, device=device)
    readings = [
        reading.as_dict()
        for texts, prompt in ((queries, "query"), (documents, "document"))
        if texts
        for reading in decoder.read(list(texts), prompt_name=prompt, max_new_tokens=_DECODED_TOKENS, truncate=True)
    ]
    write_text(path, strict_json({**kept, "searches": readings}, indent=1) + "\n")


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
                found.update(dict.fromkeys(sorted(hits, key=lambda name: (hits[name], name), reverse=True)[:_SHOWN]))
    return list(found)


def _parts(task: Any, rankings: list[dict[str, Any]]) -> dict[str, Any]:
    """Queries, relevance and the texts that matter, by subset and split."""
    parts: dict[str, Any] = {}
    for subset, splits in task.dataset.items():
        for split, data in splits.items():
            relevance = {str(query): dict(right) for query, right in data["relevant_docs"].items()}
            right = {name for grades in relevance.values() for name, grade in grades.items() if grade > 0}
            wanted = right | set(_top(rankings, subset, split))
            queries = {str(row["id"]): _text(row) for row in data["queries"]}
            places = [place for place, name in enumerate(data["corpus"]["id"]) if name in wanted]
            documents = {str(row["id"]): _text(row)[:_LONGEST] for row in data["corpus"].select(places)}
            parts.setdefault(subset, {})[split] = {
                "n_documents": len(data["corpus"]),  # those without a text here included: chance levels need it
                "queries": queries,
                "relevance": relevance,
                "documents": documents,
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
