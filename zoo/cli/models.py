"""Commands on models: list, show, fetch, export, decode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genzoo.cli.console import busy, out, print_json
from genzoo.errors import InputError

PANEL = "Models"
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Tokens = Annotated[int, typer.Option(min=1, max=512, help="Longest decoded text, in tokens.")]
Truncate = Annotated[bool, typer.Option("--truncate", help="Cut texts that are longer than the model reads.")]


def check_device(context: typer.Context, name: str | None) -> str | None:
    """Refuse a device that there is not, before anything is loaded; with ``--ray`` other machines compute."""
    if name is None:
        return None
    import torch

    try:
        device = torch.device(name)
        if "ray" not in {one.name for one in context.command.params}:
            torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split())[:160]
        raise InputError(
            f"there is no device {name!r} on this machine ({why}): give cpu, or leave --device out"
        ) from error
    return name


Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best one by default.", callback=check_device)
]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command, name in ((list_, "list"), (show, "show"), (fetch, "fetch"), (export, "export"), (decode, "decode")):
        app.command(name, rich_help_panel=PANEL)(command)


def list_(
    pattern: Annotated[str, typer.Argument(help='Shell pattern, such as "qwen*".')] = "*",
    backbones: Annotated[bool, typer.Option("--backbones", help="List the frozen LLMs instead.")] = False,
    teachers: Annotated[bool, typer.Option("--teachers", help="List the teachers instead.")] = False,
    recipes: Annotated[bool, typer.Option("--recipes", help="List the training recipes instead.")] = False,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="List the reference's published models instead, to be converted.")
    ] = False,
    json: Json = False,
) -> None:
    """List the zoo's models."""
    kinds = {"--backbones": backbones, "--teachers": teachers, "--recipes": recipes, "--upstream": upstream}
    asked = [option for option, is_given in kinds.items() if is_given]
    if len(asked) > 1:
        raise InputError(f"{' and '.join(asked)} list different things: give one of them")
    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]
    if upstream:
        from genzoo.models.entries import UPSTREAM

        columns = ("name", "hub id", "status", "backbone", "licence", "reported by its authors")
        rows = [
            (u.name, u.hub_id, u.status, u.backbone, u.licence, "; ".join(f"{k} {v[0]}" for k, v in u.reported.items()))
            for u in map(UPSTREAM.get, UPSTREAM.names(pattern))
        ]
    elif recipes:
        from genzoo.recipes.recipes import RECIPES

        columns = ("name", "backbone", "teacher", "tokens", "steps")
        rows = [
            (r.name, r.backbone, r.teacher, r.n_thought + r.n_compression, r.optim.steps)
            for r in map(RECIPES.get, RECIPES.names(pattern))
        ]
    elif backbones:
        from genzoo.backbones.entries import BACKBONES

        columns = ("name", "hub id", "family", "hidden size", "licence")
        rows = [
            (b.key, b.hub_id, b.family, b.hidden_size, b.licence) for b in map(BACKBONES.get, BACKBONES.names(pattern))
        ]
    elif teachers:
        from genzoo.teachers.teachers import TEACHERS

        columns = ("name", "hub id", "dimension", "max tokens", "licence")
        rows = [(t.key, t.hub_id, t.dim, t.max_tokens, t.licence) for t in map(TEACHERS.get, TEACHERS.names(pattern))]
    else:
        from genzoo.models.entries import ENTRIES

        columns = ("name", "hub id", "backbone", "teacher", "dimension", "licence")
        rows = [
            (e.name, e.hub_id, e.backbone, e.teacher, e.dim, e.licence)
            for e in map(ENTRIES.get, ENTRIES.names(pattern))
        ]
    if json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=not place)  # a name is typed: it is never cut
    for row in rows:
        table.add_row(*map(str, row))
    out.print(table if rows else f"nothing matches {pattern!r}")


def show(name: Annotated[str, typer.Argument(help="Name, hub id or checkpoint folder.")], json: Json = False) -> None:
    """Show what is known about one model."""
    from genzoo.models.entries import get_entry
    from genzoo.models.loading import find_checkpoint

    checkpoint = find_checkpoint(name)
    facts: dict[str, object] = {} if Path(name).is_dir() else asdict(get_entry(name))
    spec = checkpoint.spec
    facts |= {
        "checkpoint digest": checkpoint.digest(),
        "trained parameters": checkpoint.n_parameters,
        "trained tokens": f"{spec.n_thought} thought + {spec.n_compression} compression",
        "embedding rows": ", ".join(f"{row} {name}" for row, name in zip(spec.ids, spec.names, strict=True)),
        "dimension": checkpoint.dim,
        "max tokens": checkpoint.max_tokens,
        "backbone": checkpoint.backbone,
        "backbone digest": checkpoint.backbone_digest,
        "trained on": checkpoint.info.get("date", "unknown"),
        "held-out controls": checkpoint.info.get("controls", "not measured"),
    }
    facts = {
        key.replace("_", " "): sorted(value) if isinstance(value, frozenset) else value for key, value in facts.items()
    }
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


def fetch(names: Annotated[list[str], typer.Argument(help="Backbones or teachers: smollm2-135m, minilm.")]) -> None:
    """Fetch frozen LLMs and teachers into the cache, so that everything else works without a network."""
    from genzoo.backbones.entries import fetch_backbone
    from genzoo.teachers.teachers import TEACHERS, fetch_teacher

    for name in names:
        with busy(f"fetching {name}") as status:
            folder = (fetch_teacher if name in TEACHERS else fetch_backbone)(name, status.update)
        out.print(f"{name}: {folder}", highlight=False)


def export(
    name: Annotated[str, typer.Argument(help="Zoo model or checkpoint folder.")],
    folder: Annotated[Path, typer.Argument(help="Where to write the model.")],
    merge: Annotated[bool, typer.Option("--merge", help="Write a self-contained folder, backbone included.")] = False,
) -> None:
    """Write a folder that SentenceTransformer(FOLDER) loads without genzoo."""
    from genzoo.backbones.entries import fetch_backbone
    from genzoo.models import assembly
    from genzoo.models.loading import find_checkpoint

    checkpoint = find_checkpoint(name)
    with busy("loading the backbone") as status:
        backbone = fetch_backbone(checkpoint.backbone, status.update)
        assembly.export(checkpoint, backbone, folder, "merged" if merge else "adapter", name=Path(name).name)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    out.print(f"wrote {folder} ({size / 1e6:.1f} MB)", highlight=False)
    if not merge:
        out.print(
            f"It loads the backbone from {backbone}; use --merge for a folder that holds everything.", highlight=False
        )
    out.print(f'Use it: SentenceTransformer("{folder}")', highlight=False, markup=False)


def decode(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to embed and read back.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Zoo model or checkpoint folder.")] = None,
    prompt: Annotated[
        str, typer.Option(help="Prompt name: query, document, STS, Classification, Clustering ... or none.")
    ] = "query",
    tokens: Tokens = 48,
    truncate: Truncate = False,
    device: Device = None,
    json: Json = False,
) -> None:
    """Read what an embedding says: decoded by the frozen LLM, and the logit-lens tokens of each position."""
    from genzoo.backbones.tokenizer import check_texts
    from genzoo.models.loading import default_model, load_decoder

    given = check_texts(texts or [])
    if not all(text.strip() for text in given):
        raise InputError("a text is empty: give at least one word, as in: genzoo decode 'where do polar bears live?'")
    with busy("loading the model") as status:
        reader = load_decoder(model or default_model(), device=device, status=status.update)
        status.update("reading the embeddings")
        readings = reader.read(
            given, prompt_name=None if prompt == "none" else prompt, max_new_tokens=tokens, truncate=truncate
        )
    if json:
        print_json([reading.as_dict() for reading in readings])
        return
    for reading in readings:
        out.print(f"[bold]{escape(reading.text)}[/]", markup=True)
        out.print(f"  [green]{escape(reading.decoded)}[/]", markup=True)
        for place, nearest in enumerate(reading.logit_lens, 1):
            words = "  ".join(escape(repr(token)[1:-1]) for token in nearest)
            out.print(f"  [dim]{place:>3}[/]  {words}", highlight=False, markup=True)
