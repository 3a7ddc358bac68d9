"""Commands on models: list, show, fetch, export, decode."""

from __future__ import annotations

import logging
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import genzoo
from genzoo.cli.console import out, print_json, print_rows
from genzoo.errors import InputError
from genzoo.files import file_sizes
from genzoo.jobs import check_device
from genzoo.models.entries import DEFAULT

log = logging.getLogger(__name__)
PANEL = "Models"


def names_in(*registries: str) -> Callable[[str], list[str]]:
    """For the shell's completion: the names in registries (each as ``module:variable``) that go on from what was typed."""
    return lambda incomplete: [
        name for path in registries for name in resolve_name(path).names() if name.startswith(incomplete)
    ]


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tokens = Annotated[int, typer.Option(min=1, max=512, help="Longest decoded text, in tokens.")]
Truncate = Annotated[bool, typer.Option("--truncate", help="Cut texts that are longer than the model reads.")]
complete_models = names_in("genzoo.models.entries:ENTRIES")
Model = Annotated[
    str,
    typer.Argument(
        help="Zoo model, checkpoint folder, exported folder, or org/name@<commit>.", autocompletion=complete_models
    ),
]
ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="Zoo model or checkpoint folder.", autocompletion=complete_models)
]


def _check_device(context: typer.Context, name: str | None) -> str | None:
    """Refuse a device that this machine does not have; with ``--ray`` other machines compute."""
    if "ray" not in {one.name for one in context.command.params}:
        check_device(name)
    return name


Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best available by default.", callback=_check_device)
]


# What is listed: the registry, and each column with the attribute that it shows; the first is the name.
_LISTINGS = {
    "models": (
        "genzoo.models.entries:ENTRIES",
        {"name": "name", "hub id": "hub_id", "backbone": "backbone", "teacher": "teacher", "dimension": "dim", "licence": "licence"},
    ),
    "backbones": (
        "genzoo.backbones.entries:BACKBONES",
        {"name": "key", "hub id": "hub_id", "family": "family", "hidden size": "hidden_size", "licence": "licence"},
    ),
    "teachers": (
        "genzoo.teachers.teachers:TEACHERS",
        {"name": "key", "hub id": "hub_id", "dimension": "dim", "max tokens": "max_tokens", "licence": "licence"},
    ),
    "recipes": (
        "genzoo.recipes.recipes:RECIPES",
        {"name": "name", "backbone": "backbone", "teacher": "teacher", "tokens": "n_tokens", "steps": "optim.steps"},
    ),
    "upstream": (
        "genzoo.models.entries:UPSTREAM",
        {"name": "name", "hub id": "hub_id", "status": "status", "backbone": "backbone", "licence": "licence",
         "reported by its authors": "reported_figures"},
    ),
}  # fmt: skip


def list_(
    pattern: Annotated[str, typer.Argument(help='Shell pattern, such as "qwen*".')] = "*",
    backbones: Annotated[bool, typer.Option("--backbones", help="List the frozen LLMs instead.")] = False,
    teachers: Annotated[bool, typer.Option("--teachers", help="List the teachers instead.")] = False,
    recipes: Annotated[bool, typer.Option("--recipes", help="List the training recipes instead.")] = False,
    upstream: Annotated[
        bool,
        typer.Option(
            "--upstream", help="List the models that the method's authors published instead, for genzoo convert."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """List the zoo's models.

    Where the output is piped, each is one line, with tabs between the columns.
    """
    kinds = {"backbones": backbones, "teachers": teachers, "recipes": recipes, "upstream": upstream}
    asked = [kind for kind, is_given in kinds.items() if is_given]
    if len(asked) > 1:
        raise InputError(f"{' and '.join(f'--{kind}' for kind in asked)} list different things: give one of them")
    registry, columns = _LISTINGS[asked[0] if asked else "models"]
    found = resolve_name(registry)
    rows = [[attrgetter(one)(row) for one in columns.values()] for row in map(found.get, found.names(pattern))]
    if not rows and not json:
        log.warning("nothing matches %r", pattern)
        return
    print_rows(list(columns), rows, json)
    if not asked and pattern == "*" and not json:
        log.warning(
            "-m also takes an ordinary embedder, such as minilm (genzoo list --teachers), and the baselines bm25 and random"
        )


def show(name: Model, json: Json = False) -> None:
    """Show what is known about one model."""
    facts = genzoo.describe(name)
    if json:
        print_json(facts)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in facts.items():
        table.add_row(Text(key, style="bold"), _said(value))
    out.print(table)


def _said(value: object) -> str:
    """A fact for people: lists in words, held-out figures as `genzoo controls` prints them, a line each."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if not isinstance(value, dict):
        return str(value)
    from genzoo.training.controls import Controls

    try:
        return "\n".join(f"{what}: {figure}" for what, figure in Controls(**value).rows())
    except TypeError:  # of a version that measured other figures
        return ", ".join(f"{what} {figure}" for what, figure in value.items())


def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Backbones or teachers: smollm2-135m, minilm.",
            autocompletion=names_in("genzoo.backbones.entries:BACKBONES", "genzoo.teachers.teachers:TEACHERS"),
        ),
    ],
) -> None:
    """Fetch frozen LLMs and teachers into the cache, so that everything else works without a network."""
    for name in names:
        out.print(f"{name}: {genzoo.fetch(name)[name]}")


def export(
    name: Model,
    folder: Annotated[Path, typer.Argument(help="Where to write the model.")],
    merge: Annotated[bool, typer.Option("--merge", help="Write a self-contained folder, backbone included.")] = False,
) -> None:
    """Write a folder that SentenceTransformer(FOLDER) loads without genzoo."""
    from genzoo.models.exported import base_folder

    genzoo.export(name, folder, merge)
    out.print(f"wrote {folder} ({file_sizes(folder)[1] / 1e6:.1f} MB)")
    if not merge:
        out.print(f"It loads the backbone from {base_folder(folder)}; use --merge for a folder that holds everything.")
    out.print(f'Use it: SentenceTransformer("{folder}")')


def decode(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to embed and read back.")] = None,
    model: ModelOption = DEFAULT,
    prompt: Annotated[
        str, typer.Option(help="Prompt name: query, document, STS, Classification, Clustering ... or none.")
    ] = "query",
    tokens: Tokens = 48,
    truncate: Truncate = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Read what an embedding says: the text that the frozen LLM decodes, and the logit-lens tokens of each position."""
    name = None if prompt == "none" else prompt
    readings = genzoo.decode(texts or [], model, prompt=name, tokens=tokens, truncate=truncate, device=device)
    if json:
        print_json([reading.as_dict() for reading in readings])
        return
    for reading in readings:
        out.print(f"[bold]{escape(reading.text)}[/]", markup=True)
        out.print(f"  [green]{escape(reading.decoded)}[/]", markup=True)
        for place, nearest in enumerate(reading.logit_lens, 1):
            words = "  ".join(escape(repr(token)[1:-1]) for token in nearest)
            out.print(f"  [dim]{place:>3}[/]  {words}", markup=True)


COMMANDS = (list_, show, fetch, export, decode)
