"""Task name or type -> generative instruction, in the form that sentence-transformers and mteb look up.

An instruction tells the frozen LLM what to write about the text; the embedding is that of what it would write. Every prompt
ends with one space, because sentence-transformers joins prompt and text directly.
"""

from __future__ import annotations

QUERY = "Write the answer to this: "
DOCUMENT = "Restate this passage: "
MEANING = "Write a sentence with the same meaning: "
INTENT = "Name the topic and intent of this text: "
TOPIC = "Name the topic of this text: "

TYPE_PROMPTS: dict[str, str] = {
    "query": QUERY,
    "document": DOCUMENT,
    "STS": MEANING,
    "PairClassification": MEANING,
    "BitextMining": MEANING,
    "Summarization": MEANING,
    "Classification": INTENT,
    "MultilabelClassification": INTENT,
    "Clustering": TOPIC,
}
"""Keys are mteb task types or the two sides of a search; mteb falls back to ``query`` / ``document`` in retrieval types."""


def all_prompts() -> dict[str, str]:
    """The prompts that ride along with every exported model, as ``config_sentence_transformers.json`` stores them."""
    return dict(TYPE_PROMPTS)
