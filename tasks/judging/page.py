"""The judging page: one HTML file that works from disk, asks no server for anything and keeps what was judged in the browser."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from genzoo.tasks.judging.judgements import PoolItem
from genzoo.tasks.judging.passages import Passage

_TEMPLATES = Path(__file__).parent / "templates"


def judging_page(
    name: str, identity: str, queries: Mapping[str, str], passages: Mapping[str, Passage], items: Sequence[PoolItem]
) -> str:
    """The page as HTML.

    A content security policy lets it run its own script and style and load nothing, so no request leaves it whatever the texts hold.

    Args:
        name: What the page's title calls the pool.
        identity: Under which the browser keeps the judgements: pages of one identity share them.
        queries: Id to text.
        passages: Id to passage.
        items: What is to be judged, in order; the items of a query stand together.
    """
    script, style = (
        (_TEMPLATES / f"judge.{kind}").read_text(encoding="utf-8").replace("\r\n", "\n") for kind in ("js", "css")
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        newline_sequence="\n",
    )
    return environment.get_template("judge.html.j2").render(
        name=name,
        script=Markup(script),  # noqa: S704  (the project's own files)
        style=Markup(style),  # noqa: S704
        script_hash=_hash(script),
        style_hash=_hash(style),
        data=_embedded(_content(identity, queries, passages, items)),
    )


def _content(
    identity: str, queries: Mapping[str, str], passages: Mapping[str, Passage], items: Sequence[PoolItem]
) -> dict[str, Any]:
    """What the script reads: no model, no rank and no similarity is in it."""
    places = {query: place for place, query in enumerate(dict.fromkeys(item.query for item in items), 1)}
    counts = Counter(item.query for item in items)
    seen: Counter[str] = Counter()
    rows: list[list[Any]] = []
    for item in items:
        seen[item.query] += 1
        numbers = (seen[item.query], counts[item.query], places[item.query])
        rows.append([item.item, item.query, item.documents[0], *numbers])
    return {
        "id": identity,
        "n_queries": len(places),
        "queries": {query: queries[query] for query in places},
        "passages": {item.documents[0]: list(passages[item.documents[0]][1:]) for item in items},
        "items": rows,
    }


def _embedded(value: Any) -> Markup:
    """JSON inside a script element: no character of it can end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704


def _hash(text: str) -> Markup:
    """What a content security policy calls an inline script or style of this text."""
    return Markup("sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())  # noqa: S704
