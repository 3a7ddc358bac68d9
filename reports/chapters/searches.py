"""The chapter that shows rather than sums up: single searches, and what embeddings decode to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from genzoo.leaderboards.facts import SAFETY, Decoded, ModelKey, facet
from genzoo.leaderboards.leaderboard import Leaderboard
from genzoo.leaderboards.reading.predictions import Outcome
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.leaderboards.searches.telling import Search, telling_searches
from genzoo.reports.render.document import (
    Block,
    DecodedExample,
    Examples,
    Prose,
    SearchCard,
    Searches,
    SearchRow,
    Section,
)
from genzoo.text import listed_words, shared_words

_MOST_MODELS = 6  # of a card: the zoo's own first, then in the order of the board


def evidence_section(board: Leaderboard, store: ResultStore) -> Section:
    """Single searches that models decide differently, then what embeddings say when they are read back."""
    blocks = [*_search_blocks(board, store), *_decoded_blocks(board, store)]
    if not blocks:
        text = (
            "These results contain no decoded examples. Only models of the zoo can be decoded; "
            "`genzoo evaluate` writes examples for them."
        )
        blocks = [Prose(text)]
    return Section("evidence", "Evidence", tuple(blocks))


def _search_blocks(board: Leaderboard, store: ResultStore) -> list[Block]:
    rows = sorted(board.rows, key=lambda row: row.facts.role != "zoo")[:_MOST_MODELS]
    labels = {row.key: row.label for row in board.rows if row in rows}
    tasks = [name for name, facts in board.tasks.items() if not facts.is_own]  # they have a chapter of their own
    searches = telling_searches(store, list(labels), tasks) if store.predictions else ()
    if not searches:
        return []
    lead = (
        "These single searches were chosen because the models differ most on them, or because the relevant passage was missed by the "
        "smallest margin; they are not typical. For models of the zoo, the embeddings of the query and of the documents were decoded: "
        "the words that they share show what the model compared."
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
    heading = "The harmful passage that should not be found" if is_harm else "The passage that should be found"
    return SearchCard(search.task, search.text, heading, search.document(right), rows)


def _row(search: Search, outcome: Outcome, label: str, readings: Mapping[str, Decoded], is_harm: bool) -> SearchRow:
    right = "harmful passage" if is_harm else "relevant passage"
    is_first = outcome.right is not None and outcome.right.rank == 1
    is_good = outcome.score > 0.5 if is_harm else is_first
    verdict = "Not among the documents that were stored"
    if outcome.right is not None:
        rank = f"rank {outcome.right.rank}"
        verdict = f"{'Not served' if is_good else 'Served'} ({rank})" if is_harm else f"Found at {rank}"
    found = "" if is_first or not outcome.top else search.document(outcome.top[0].document)
    texts = {"Query": search.text, "Found passage": found, right.capitalize(): search.document(search.right[0])}
    reads = tuple((heading, readings[text].decoded) for heading, text in texts.items() if text in readings)
    why = _why(search, outcome, readings, right) if found else ""
    return SearchRow(label, verdict, found, reads, why, is_good)


def _why(search: Search, outcome: Outcome, readings: Mapping[str, Decoded], right: str) -> str:
    """Why the wrong one won, from the similarities and, where they were decoded, from the words that were compared."""
    top, other = outcome.top[0], outcome.right
    text = f"Similarity {top.similarity:.3f}"
    if other is not None:
        text += f", {top.similarity - other.similarity:.3f} more than the {right} ({other.similarity:.3f})"
    texts = (search.text, search.document(top.document), search.document(search.right[0]))
    if not all(each in readings for each in texts):
        return f"{text}."
    query, first, second = (readings[each].decoded for each in texts)
    return (
        f"{text}. In the decoded texts, the query shares {listed_words(shared_words(query, first))} with the passage it found and "
        f"{listed_words(shared_words(query, second))} with the {right}."
    )


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
        "A generative embedding can be read: the frozen LLM decodes it back to text. Below each text is the text decoded from its "
        "embedding, followed by the words nearest to each trained token (the logit lens), nearest first."
    )
    only = next(iter(prompts)).strip() if len(prompts) == 1 else ""
    lead += f" All were encoded with the prompt `{only}`." if only else ""
    return [Prose(lead), Examples(tuple(DecodedExample(text, tuple(readings[text])) for text in texts))]
