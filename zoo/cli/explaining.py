"""The command that explains searches: one between texts that the user gives, or those of a results folder that went wrong."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

import genzoo
from genzoo.cli.console import out, print_json
from genzoo.cli.models import Device, Json, Tokens, Truncate, complete_models
from genzoo.errors import InputError
from genzoo.models.entries import DEFAULT
from genzoo.text import clean

if TYPE_CHECKING:
    from genzoo.leaderboards.searches.explained import ExplainedSearch, PlacedPassage
    from genzoo.leaderboards.searches.failures import FailedSearches
    from genzoo.models.decoding import Explanation, Found

PANEL = "Models"
_PASSAGE = 160  # characters printed of a passage
_FOUND, _RIGHT = 3, 2  # passages printed of a ranking, and relevant ones below them


_LEGEND = (
    "Ranked by cosine similarity to the query. reads: what the LLM writes when it sees only the embedding's soft prompts.\n"
    "lens: words nearest to each trained token. shares: words in common with the query, decoded and as written."
)


def explain(
    query: Annotated[str | None, typer.Argument(help="What was searched for.")] = None,
    documents: Annotated[list[str] | None, typer.Argument(help="The documents that compete, each in quotes.")] = None,
    right: Annotated[
        int | None, typer.Option("--right", min=1, help="Number of the document that should have won, from 1.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help=f"Zoo model or checkpoint folder, by default {DEFAULT}; with --results a model of the board, by default the best that is no baseline.",
            autocompletion=complete_models,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Results folder: explain the searches of --task that went wrong instead of a query."),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="With --results: a retrieval task of the folder.")
    ] = None,
    query_id: Annotated[
        str | None, typer.Option("--query", help="With --results: id of the query whose search alone is explained.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="With --results: number of searches, the worst first.")] = 10,
    decoded: Annotated[
        int,
        typer.Option(
            "--decode",
            min=0,
            help="With --results: number of searches that a zoo model decodes, the worst first; 0 for none.",
        ),
    ] = 3,
    tokens: Tokens = 48,
    truncate: Truncate = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Show why a search found what it found: one between texts that you give, or those of measured results that went wrong.

    Texts are explained by a zoo model: similarities, decoded query and documents, logit-lens tokens. With --results and --task, the
    searches of any model that went wrong are listed, worst first.
    """
    if results is not None:
        if task is None or query is not None:
            raise InputError(
                "with --results, name one of its tasks with --task and no texts: genzoo explain --results DIR --task T [--query ID]"
            )
        found = genzoo.open_results(results).searches(task, model, query=query_id, decoded=decoded, device=device)
        if json:
            print_json(found.as_dict())
        else:
            _print_searches(found, most)
        return
    if task is not None or query_id is not None:
        raise InputError("--task and --query name a search of a results folder: give that with --results DIR")
    if query is None or not documents:
        raise InputError(
            "nothing to explain: give a query and at least one document, each in quotes, or --results DIR --task T"
        )
    explanation = genzoo.explain(
        query, documents, model or DEFAULT, right, tokens=tokens, truncate=truncate, device=device
    )
    if json:
        print_json(explanation.as_dict())
        return
    _print_explanation(explanation)


def _print_searches(found: FailedSearches, most: int) -> None:
    """The searches, worst first, and how many there are."""
    from genzoo.leaderboards.metrics import metric

    if found.asked is None:
        out.print(found.summary)
    for search in found.searches[:most]:
        _print_search(search, metric(found.metric).label)
    if (more := len(found) - most) > 0:
        out.print(f"\n[dim]{more:,} more: --most N shows more of them, --json all[/]", markup=True)


def _print_search(search: ExplainedSearch, metric: str) -> None:
    out.print(f"\n[bold]{escape(clean(search.text))}[/]", markup=True)
    out.print(f"  [dim]query {escape(clean(search.query))} · {metric} {search.score:.3f}[/]", markup=True)
    out.print(f"  {escape(clean(search.verdict))}", markup=True)
    _print_decoded(search.decoded)
    for each in search.found[:_FOUND]:
        _print_passage(each)
    shown = {each.document for each in search.found[:_FOUND]}
    others = [each for each in search.right if each.document not in shown][:_RIGHT]
    for each in sorted(others, key=lambda each: each.rank or math.inf):
        _print_passage(each)


def _print_passage(each: PlacedPassage) -> None:
    place = f"{each.rank}." if each.rank else "not found:"
    grade = "no grade" if each.grade is None else f"grade {each.grade}"
    style = "green" if each.grade and each.grade > 0 else "red" if each.grade is not None and each.grade < 0 else "cyan"
    similarity = "" if each.similarity is None else f"{each.similarity:.3f}  "
    text = textwrap.shorten(clean(each.text), _PASSAGE, placeholder=" …")
    out.print(
        f"  [bold]{place}[/] {similarity}[{style}]{grade}[/] {escape(text)} [dim]({escape(clean(each.document))})[/]",
        markup=True,
    )
    out.print(
        f"     [dim]shares {escape(', '.join(each.shared)) or 'no word beyond common ones'} with the query[/]",
        markup=True,
    )
    _print_decoded(each.decoded)


def _print_decoded(text: str | None) -> None:
    if text is not None:
        out.print(f"     reads [green]{escape(clean(text)) or '(nothing)'}[/]", markup=True)


def _print_explanation(found: Explanation) -> None:
    out.print(f"[bold]{escape(found.query.text)}[/]", markup=True)
    out.print(f"  reads  [green]{escape(found.query.decoded) or '(nothing)'}[/]", markup=True)
    out.print(f"  lens   [dim]{escape(found.query.lens()) or '(no words)'}[/]", markup=True)
    for each in found.found:
        mark = " [bold cyan](should have won)[/]" if each.place == found.right else ""
        line = f"\n[bold]{each.rank}.[/] {each.similarity:.3f}  {escape(each.reading.text)}{mark}"
        out.print(line, markup=True)
        out.print(f"  reads  [green]{escape(each.reading.decoded) or '(nothing)'}[/]", markup=True)
        out.print(f"  lens   [dim]{escape(each.reading.lens()) or '(no words)'}[/]", markup=True)
        out.print(f"  shares {_shares(each)}", markup=True)
    out.print(f"\n[dim]{_LEGEND}[/]", markup=True)
    if found.right is not None:
        out.print(f"\n{escape(found.verdict)}", markup=True)


def _shares(each: Found) -> str:
    decoded, text = (escape(", ".join(words) or "no word") for words in (each.shared_decoded, each.shared_text))
    return f"{decoded} [dim](as decoded)[/]   {text} [dim](as written)[/]"


COMMANDS = (explain,)
