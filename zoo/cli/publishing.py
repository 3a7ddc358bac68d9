"""Commands on published models: convert, verify, publish, collection, model-meta, bundle, unbundle."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

import genzoo
from genzoo.cli.console import out, print_json
from genzoo.cli.models import Json, Model
from genzoo.errors import PublishError, VerifyError
from genzoo.files import cache_root, file_sizes

if TYPE_CHECKING:
    from genzoo.publishing.plan import PublishPlan

log = logging.getLogger(__name__)
PANEL = "Publishing"


def convert(
    source: Annotated[
        str, typer.Argument(help="Folder that llm2vec-gen wrote, or org/name@<40-hex commit> on the Hub.")
    ],
    folder: Annotated[Path, typer.Argument(help="Where to write the model.")],
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Frozen LLM: folder, name, or org/name@<commit>. Default: the one that the checkpoint names."
        ),
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Write a self-contained folder, backbone included.")] = False,
    json: Json = False,
) -> None:
    """Convert a checkpoint of the reference implementation into a model that plain sentence-transformers loads."""
    made = genzoo.convert(source, folder, backbone, merge=merge)
    if json:
        print_json({**vars(made), "ids": list(made.ids), "folder": str(folder), "backbone": str(made.backbone)})
        return
    ratio = made.source_bytes / made.bytes
    out.print(
        f"wrote {folder} ({made.bytes / 1e6:.1f} MB; the source has {made.source_bytes / 1e6:.1f} MB, {ratio:.0f} times as much)"
    )
    out.print(f"The trained tokens occupy rows {made.ids[0]} to {made.ids[-1]} of {made.backbone}.")
    if made.form == "merged" and not merge:
        out.print("The backbone has no spare row, so the folder holds all of it, with rows appended.")
    option = "" if made.dtype == "float32" else f', model_kwargs={{"dtype": torch.{made.dtype}}}'
    if option:
        out.print(f"The reference ran in {made.dtype}; the dtype option below reproduces its numbers.")
    out.print(f'Use it: SentenceTransformer("{folder}"{option})')


def verify(
    name: Model,
    backbone: Annotated[
        str | None, typer.Option(help="Frozen LLM in place of the one that the checkpoint names.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Record the fingerprint of a folder as it is now.")] = False,
    json: Json = False,
) -> None:
    """Recompute a model's digests and probe embeddings, and name everything that differs from what was recorded."""
    from dataclasses import asdict

    if write:
        path = genzoo.write_fingerprint(name, backbone=backbone)
        print_json({"fingerprint": str(path)}) if json else out.print(f"wrote {path}")
        return
    findings = genzoo.verify(name, backbone=backbone)
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "[green]equal  [/]" if finding.is_equal else "[bold red]differs[/]"
            out.print(f"{mark} {escape(finding.what):<12} {escape(finding.detail)}", markup=True)
    if differing := [finding.what for finding in findings if not finding.is_equal]:
        raise VerifyError(f"{name} differs from what was recorded: {', '.join(differing)}")


def publish(
    name: Model,
    repo: Annotated[str, typer.Option(help="Repository to publish to: org/name.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Publish the self-contained form, backbone included.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Keep the repository private.")] = False,
    tag: Annotated[str | None, typer.Option(help="Name for the commit, such as v1.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another model in the repository.")] = False,
    results: Annotated[
        Path | None, typer.Option(help="Folder that genzoo evaluate wrote, for the card's scores.")
    ] = None,
    licence: Annotated[str, typer.Option(help="The backbone's licence, if genzoo does not know the backbone.")] = "",
    training_data: Annotated[
        str, typer.Option(help="What the model was trained on, with licences, if genzoo does not know it.")
    ] = "",
    base_model: Annotated[
        str, typer.Option(help="Hub id of the backbone, if the checkpoint names a folder of this machine.")
    ] = "",
    card: Annotated[Path | None, typer.Option(help="Also write the model card to this file.")] = None,
) -> None:
    """Publish a model on the Hub: list every file, upload one commit, read it back, tag it.

    Only allow-listed files are uploaded, in one commit based on the revision that was inspected. The token is the one of
    `hf auth login` or HF_TOKEN; HF_ENDPOINT names another Hub.
    """
    options = {option: given for option, given in locals().items() if option not in ("name", "repo")}
    from genzoo.publishing.plan import PublishPlan

    done = genzoo.publish(name, repo, **options, review=_show_plan)
    if isinstance(done, PublishPlan):
        out.print("Nothing was sent (--dry-run).")
        return
    what = "published" if done.is_new else "was complete already:"
    out.print(f"{what} {done.url}")
    out.print(f"commit {done.commit}" + (f", tag {done.tag}" if done.tag else ""))
    out.print(f'Use it: SentenceTransformer("{repo}", revision="{done.commit}")')


def _show_plan(planned: PublishPlan) -> None:
    """Print the plan; one with problems is not carried out."""
    from huggingface_hub import constants
    from rich.table import Table

    table = Table("file", "bytes", "sha256", box=None, header_style="bold", pad_edge=False)
    table.columns[1].justify = "right"
    for file in planned.files:
        table.add_row(file.path, f"{file.size:,}", file.sha256[:16])
    out.print(table)
    visibility = "private" if planned.is_private else "public"
    out.print(
        f"{len(planned.files)} files, {planned.size / 1e6:.1f} MB, {planned.form} form -> {constants.ENDPOINT}/{planned.repo_id} "
        f"({visibility}" + (f", tag {planned.tag})" if planned.tag else ")")
    )
    if planned.left_out:
        out.print(f"not uploaded: {', '.join(planned.left_out[:12])}")
    for problem in planned.problems:
        out.print(f"[bold red]problem[/] {escape(problem)}", markup=True)
    if planned.problems:
        raise PublishError(f"{len(planned.problems)} problems must be solved first (see above); nothing was sent")


def collection(
    title: Annotated[str, typer.Argument(help="Title of the collection, such as 'genzoo 0.1'.")],
    repos: Annotated[list[str], typer.Argument(help="Published models: org/name ...")],
    namespace: Annotated[
        str | None, typer.Option(help="User or organisation that owns the collection; the first model's by default.")
    ] = None,
    description: Annotated[str, typer.Option(help="At most 150 characters.")] = "",
    private: Annotated[bool, typer.Option("--private", help="Hide a new collection.")] = False,
) -> None:
    """Group published models of one release in a collection on the Hub."""
    made = genzoo.collection(title, repos, namespace=namespace, description=description, private=private)
    out.print(f"{made.url}: {', '.join(made.models)}")


def model_meta(
    name: Model,
    repo: Annotated[str | None, typer.Option(help="Where it was published: org/name.")] = None,
    revision: Annotated[str | None, typer.Option(help="The commit that genzoo publish printed.")] = None,
) -> None:
    """Print the mteb.ModelMeta of a zoo model as Python source, for a pull request to mteb."""
    out.print(genzoo.model_meta(name, repo, revision), end="")
    if revision is None:
        log.warning(
            "the revision is the checkpoint's digest; once the model is published, give its commit with --revision"
        )


def bundle(
    folder: Annotated[Path, typer.Option("--output", "-o", help="Where to write the bundle.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Zoo models, backbones, teachers, org/name@<commit>.")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", "-b", help="Also pack the data sets of its tasks.")
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="Also pack a task's data set, or a file or folder of your own."),
    ] = None,
) -> None:
    """Pack models, frozen LLMs and data sets at their pinned revisions, for a network without a Hub."""
    genzoo.bundle(names or [], folder, tasks or (), benchmark=benchmark)
    count, size = file_sizes(folder)
    out.print(f"wrote {folder}: {count - 1} files, {size / 1e6:.1f} MB")  # the manifest lists the others
    out.print(f"On the other machine: genzoo unbundle {folder}")


def unbundle(
    folder: Annotated[Path, typer.Argument(help="Folder that genzoo bundle wrote.")],
) -> None:
    """Check a bundle and copy it into this machine's caches; everything in it then works with HF_HUB_OFFLINE=1."""
    from genzoo.publishing.bundle import OWN_DATA

    done = genzoo.unbundle(folder)
    for hub_id, revision in done.models:
        out.print(f'SentenceTransformer("{hub_id}", revision="{revision}")')
    for cache in done.caches:
        name = cache.removeprefix("hub/models--").replace("--", "/")
        if name.startswith(OWN_DATA):
            own = f"{name.removeprefix(OWN_DATA).rpartition('-')[0]}={cache_root() / name}"
            out.print(f"your own data: genzoo evaluate -t {own}")
        else:
            out.print(f"frozen LLM or teacher: {name}")
    for path, revision in done.datasets:
        out.print(f'load_dataset("{path}", revision="{revision}")')
    for warning in done.warnings:
        out.print(f"[bold yellow]warning[/] {escape(warning)}", markup=True)
    out.print("Set HF_HUB_OFFLINE=1, so that no library looks for a network.")


COMMANDS = (convert, verify, publish, collection, model_meta, bundle, unbundle)
