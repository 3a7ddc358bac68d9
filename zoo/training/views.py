"""Queries and responses -> training examples: the text to embed, the text whose teacher embedding is the target."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from genzoo import prompts
from genzoo.recipes import Recipe, ViewOptions
from genzoo.training.responses import Response

T = TypeVar("T")


@dataclass(frozen=True)
class Example:
    """One training pair.

    Attributes:
        text: Prompt and input, as the backbone reads it before the trained tokens.
        target: Text that the embedding should stand for; the reconstruction loss scores it too.
        ended: Whether the target is complete, so that the model may learn to stop after it.
    """

    text: str
    target: str
    ended: bool


def first_sentence(text: str) -> str:
    """The first sentence of a text, or its first line where it has no full stop.

    >>> first_sentence("Polar bears live in the Arctic. They hunt seals.")
    'Polar bears live in the Arctic.'
    """
    line = text.strip().split("\n", 1)[0]
    found = re.match(r".{12,}?[.!?](?=\s|$)", line)
    return found.group(0) if found else line


def _cycle(items: Sequence[T], rng: random.Random) -> Callable[[], T]:
    """Draw without replacement, reshuffling when all were drawn."""
    order: list[T] = []

    def draw() -> T:
        if not order:
            order.extend(items)
            rng.shuffle(order)
        return order.pop()

    return draw


def make_examples(recipe: Recipe, responses: Sequence[Response], queries: Sequence[str], count: int) -> list[Example]:
    """Make ``count`` examples by the recipe's view shares; equal arguments give equal examples."""
    rng = random.Random(recipe.seed)  # noqa: S311 - reproducible sampling
    views: ViewOptions = recipe.views
    answered, passage, short = (_cycle(responses, rng) for _ in range(3))
    text, known = _cycle(queries, rng), {row.query: row for row in responses}
    kinds = ("answer", "document", "meaning", "topic")
    shares = [getattr(views, kind) for kind in kinds]
    examples = []
    for kind in rng.choices(kinds, shares, k=count):
        if kind == "answer":
            one = answered()
            prompt = "" if rng.random() < views.unprompted else prompts.QUERY
            examples.append(Example(prompt + one.query, one.response, one.finished))
        elif kind == "document":
            parts = [passage() for _ in range(rng.randint(2, 4) if rng.random() < views.long else 1)]
            joined = " ".join(part.response.strip() for part in parts)
            examples.append(Example(prompts.DOCUMENT + joined, joined, parts[-1].finished))
        else:
            whole: Response | None
            if rng.random() < 0.5:
                source = text()
                whole = known.get(source)
            else:
                whole = short()
                source = first_sentence(whole.response)
            if kind == "meaning":
                examples.append(Example(prompts.DOCUMENT + source, source, True))
                continue
            prompt = rng.choice((prompts.INTENT, prompts.TOPIC))
            if views.context and whole is not None and rng.random() < views.context:
                examples.append(Example(prompt + source, whole.response, whole.finished))
            else:
                examples.append(Example(prompt + source, source, True))
    return examples
