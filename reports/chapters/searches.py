"""The chapter that shows rather than sums up: single searches, and what embeddings decode to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from genzoo.leaderboards.facts import SAFETY, Decoded, ModelKey, facet
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.reading.predictions import Outcome
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.searches import Search, telling_searches
from genzoo.reports.render.document import Block, Example, Examples, Prose, SearchCard, Searches, SearchRow, Section
from genzoo.text import shared_words

_MOST_MODELS = 6  # of a card: the zoo's own first, then in the order of the board
_WORDS = 4  # shared words named


def evidence_section(board: Leaderboard, store: ResultStore) -> Section:
    """Single searches that models decide differently, then what embeddings say when they are read back."""
    blocks = [*_search_blocks(board, store), *_decoded_blocks(board, store)]
    if not blocks:
        text = (
            "No decoded examples lie beside these results. Only models of the zoo can be decoded; "
            "`genzoo evaluate` writes examples for them."
        )
        blocks = [Prose(text)]
    return Section("evidence", "Evidence", tuple(blocks))


def _search_blocks(board: Leaderboard, store: ResultStore) -> list[Block]:
    rows = sorted(board.rows, key=lambda row: row.facts.role != "zoo")[:_MOST_MODELS]
    labels = {row.key: row.label for row in board.rows if row in rows}
    searches = telling_searches(store, list(labels), list(board.tasks))
    if not searches:
        return []
    lead = (
        "Single searches, chosen because the models differ most on them or miss by least; they are not typical. Where a model "
        "of the zoo took part, its embeddings of the query and of the documents were decoded: shared words show what it "
        "compared."
    )
    cards = tuple(_card(search, labels, store, facet(board.tasks[search.task]) == SAFETY) for search in searches)
    return [Prose(lead), Searches(cards)]


def _card(search: Search, labels: dict[ModelKey, str], store: ResultStore, is_harm: bool) -> SearchCard:
    right = search.right[0]
    rows = tuple(
        _row(search, search.outcomes[key], label, store.readings.get(key, {}), is_harm)
        for key, label in labels.items()
        if key in search.outcomes
    )
    heading = "The harmful passage that should stay unfound" if is_harm else "The passage that should be found"
    return SearchCard(search.task, search.text, heading, search.document(right), rows)


def _row(search: Search, outcome: Outcome, label: str, readings: Mapping[str, Decoded], is_harm: bool) -> SearchRow:
    top = outcome.top[0] if outcome.top else None
    is_found = outcome.right is not None and outcome.right.rank == 1
    is_good = outcome.score > 0.5 if is_harm else is_found
    verdict = "Not found among the documents kept"
    if outcome.right is not None:
        verb = "Found" if not is_harm else "Keeps it back" if is_good else "Serves it"
        verdict = f"{verb}, at rank {outcome.right.rank}"
    found = "" if is_found or top is None else search.document(top.document)
    reads = [("the query", readings.get(search.text))]
    if found:
        reads.append(("what it found", readings.get(found)))
    reads.append(
        ("the right one" if not is_harm else "the harmful one", readings.get(search.document(search.right[0])))
    )
    why = _why(search, outcome, readings) if found else ""
    shown = tuple((heading, reading.decoded) for heading, reading in reads if reading is not None)
    return SearchRow(label, verdict, found, shown, why, is_good)


def _why(search: Search, outcome: Outcome, readings: Mapping[str, Decoded]) -> str:
    """Why the wrong one won, from the similarities and, where they were decoded, from the words that were compared."""
    top, right = outcome.top[0], outcome.right
    text = f"Similarity {top.similarity:.3f}"
    if right is not None:
        text += f", {top.similarity - right.similarity:.3f} above the other at {right.similarity:.3f}"
    query, first = readings.get(search.text), readings.get(search.document(top.document))
    other = readings.get(search.document(search.right[0]))
    if query is None or first is None or other is None:
        return text + "."
    return (
        f"{text}. As decoded, the query shares {_named(shared_words(query.decoded, first.decoded))} with what it found "
        f"and {_named(shared_words(query.decoded, other.decoded))} with the other."
    )


def _named(words: tuple[str, ...]) -> str:
    if not words:
        return "no word"
    return ", ".join(f"“{word}”" for word in words[:_WORDS]) + (" and more" if len(words) > _WORDS else "")


def _decoded_blocks(board: Leaderboard, store: ResultStore) -> list[Block]:
    shown = {row.key: row.label for row in board.rows if row.key in store.evidence}
    readings: dict[str, list[tuple[str, Decoded]]] = defaultdict(list)
    for key, label in shown.items():
        for example in store.evidence[key]:
            readings[example.text].append((label, example))
    if not readings:
        return []
    # Texts that several models read come first: they can be compared.
    texts = sorted(readings, key=lambda text: -len(readings[text]))
    prompts = {reading.prompt for text in texts for _, reading in readings[text]}
    if len(prompts) == 1:  # said once, above
        readings = defaultdict(list, {t: [(label, d._replace(prompt="")) for label, d in readings[t]] for t in texts})
    lead = (
        "An embedding of this kind can be read: the frozen LLM decodes it back to text. Below each text stands what "
        "its embedding says, then the words nearest to each trained token (the logit lens), the nearest first."
    )
    only = next(iter(prompts)).strip() if len(prompts) == 1 else ""
    lead += f" All were encoded with the prompt `{only}`." if only else ""
    return [Prose(lead), Examples(tuple(Example(text, tuple(readings[text])) for text in texts))]
