"""Commands on published models: convert, verify, publish, collection, model-meta, bundle, unbundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genzoo.cli.console import busy, out, print_json
from genzoo.cli.models import Json

PANEL = "Publishing"


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command, name in ((convert, "convert"),):
        app.command(name, rich_help_panel=PANEL)(command)


def convert(
    source: Annotated[
        str, typer.Argument(help="Folder that llm2vec-gen wrote, or org/name@<40-hex commit> on the Hub.")
    ],
    folder: Annotated[Path, typer.Argument(help="Where to write the model.")],
    backbone: Annotated[
        str | None, typer.Option(help="Frozen LLM: folder, name, or org/name@<commit>; else what the checkpoint says.")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Write a self-contained folder, backbone included.")] = False,
    json: Json = False,
) -> None:
    """Make a checkpoint of the reference implementation loadable by plain sentence-transformers."""
    from genzoo import conversion

    with busy("reading the checkpoint") as status:
        made = conversion.convert(source, folder, backbone=backbone, merge=merge, status=status.update)
    if json:
        print_json({**made, "ids": list(made["ids"]), "folder": str(folder)})
        return
    ratio = made["source_bytes"] / made["bytes"]
    out.print(f"wrote {folder} ({made['bytes'] / 1e6:.1f} MB; the source has {made['source_bytes'] / 1e6:.1f} MB, {ratio:.0f}x)", highlight=False)  # fmt: skip
    out.print(f"The trained tokens stand on rows {made['ids'][0]} to {made['ids'][-1]} of {made['backbone']}.", highlight=False)  # fmt: skip
    if made["form"] == "merged" and not merge:
        out.print("The backbone has no spare row, so the folder holds it whole, with rows appended.", highlight=False)
    if made["dtype"] != "float32":
        option = f', model_kwargs={{"dtype": torch.{made["dtype"]}}}'
        out.print(f"The reference ran in {made['dtype']}; its own numbers come with: ", highlight=False, end="")
    else:
        option = ""
        out.print("Use it: ", highlight=False, end="")
    out.print(f'SentenceTransformer("{folder}"{option})', highlight=False, markup=False)
