"""Commands that show why: explain one search, and the static site of a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from genzoo.cli.console import busy, out, print_json
from genzoo.cli.models import Device, Json, Tokens, Truncate
from genzoo.cli.results import ByRevision, Reported, Results
from genzoo.cli.stores import load_store
from genzoo.errors import InputError
from genzoo.text import telling

if TYPE_CHECKING:
    from genzoo.models.decoding import Explanation, Found


_LENS_TOKENS = 3
_LEGEND = (
    "Ranked by cosine similarity to the query. reads: what the LLM writes when it sees only the embedding's soft prompts.\n"
    "lens: words nearest to each trained token. shares: words in common with the query, decoded and as written."
)


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command(rich_help_panel="Models")(explain)
    app.command(rich_help_panel="Measuring")(site)


def explain(
    query: Annotated[str, typer.Argument(help="What was searched for.")],
    documents: Annotated[list[str], typer.Argument(help="The documents that compete, each in quotes.")],
    right: Annotated[
        int | None, typer.Option("--right", min=1, help="Number of the document that should have won, from 1.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Zoo model or checkpoint folder.")] = None,
    tokens: Tokens = 48,
    truncate: Truncate = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Show why a search found what it found: similarities, decoded query and documents, logit-lens tokens."""
    from genzoo.models.loading import default_model, load_decoder

    for text in (query, *documents):
        if not text.strip():
            raise InputError(
                "a text is empty: give a query and at least one document, as in: genzoo explain "
                "'where do polar bears live?' 'The Arctic is home to them.' 'Bears sleep in winter.'"
            )
    if right is not None and right > len(documents):
        raise InputError(f"--right is {right}, but there are {len(documents)} documents: give a number from 1")
    with busy("loading the model") as status:
        decoder = load_decoder(model or default_model(), device=device, status=status.update)
        status.update("reading the embeddings")
        found = decoder.explain(query, documents, max_new_tokens=tokens, truncate=truncate)
    if json:
        print_json(found.as_dict())
        return
    _print(found, right)


def _print(found: Explanation, right: int | None) -> None:
    out.print(f"[bold]{escape(found.query.text)}[/]", markup=True)
    out.print(f"  reads  [green]{escape(found.query.decoded) or '(nothing)'}[/]", markup=True)
    out.print(f"  lens   [dim]{_lens(found.query.logit_lens)}[/]", highlight=False, markup=True)
    for each in found.found:
        mark = " [bold cyan](should have won)[/]" if each.place == right else ""
        out.print(
            f"\n[bold]{each.rank}.[/] {each.similarity:.3f}  {escape(each.reading.text)}{mark}",
            highlight=False,
            markup=True,
        )
        out.print(f"  reads  [green]{escape(each.reading.decoded) or '(nothing)'}[/]", markup=True)
        out.print(f"  lens   [dim]{_lens(each.reading.logit_lens)}[/]", highlight=False, markup=True)
        out.print(f"  shares {_shares(each)}", highlight=False, markup=True)
    out.print(f"\n[dim]{_LEGEND}[/]", highlight=False, markup=True)
    if right is not None:
        out.print(f"\n{escape(_verdict(found, right))}", highlight=False, markup=True)


def _verdict(found: Explanation, right: int) -> str:
    first = found.found[0]
    wanted = next(each for each in found.found if each.place == right)
    if wanted is first:
        return "It won."
    gap = first.similarity - wanted.similarity
    return (
        f"Number {first.place} won by {gap:.3f}. In what the embeddings say it shares "
        f"{_words(first.shared_decoded)} with the query; the one that should have won shares {_words(wanted.shared_decoded)}."
    )


def _shares(each: Found) -> str:
    return f"{escape(_words(each.shared_decoded))} [dim](as decoded)[/]   {escape(_words(each.shared_text))} [dim](as written)[/]"


def _words(words: tuple[str, ...]) -> str:
    return ", ".join(words) or "no word"


def _lens(positions: tuple[tuple[str, ...], ...]) -> str:
    """The nearest words of each trained token."""
    words = map(telling, positions)
    shown = ["/".join(escape(repr(word)[1:-1]) for word in found[:_LENS_TOKENS]) for found in words if found]
    return " · ".join(shown) or "(no words)"


def site(
    results: Results,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the site.")] = Path("output/site"),
    title: Annotated[str, typer.Option(help="Title of the site.")] = "Generative embeddings",
    by_revision: ByRevision = False,
    reported: Reported = False,
) -> None:
    """Write a static leaderboard site: a page per benchmark and a page per model, for any web server or none."""
    store = load_store(results, is_joined=not by_revision, is_reported=reported)
    from genzoo.reports import build_site

    with busy("drawing the site"):
        paths = build_site(store, output, title=title)
    out.print(f"wrote {len(paths)} files, begin with {output / 'index.html'}", highlight=False)
