"""Commands on published models: convert, verify, publish, collection, model-meta, bundle, unbundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from genzoo.cli.console import busy, out, print_json
from genzoo.cli.models import Json
from genzoo.errors import InputError, PublishError, VerifyError, ZooError

if TYPE_CHECKING:
    from genzoo.backbones.sources import Status
    from genzoo.publishing.manifest import DataSet
    from genzoo.publishing.plan import PublishPlan
    from genzoo.publishing.scores import CardScores


PANEL = "Publishing"


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (convert, verify, publish, collection, model_meta, bundle, unbundle):
        name = command.__name__.replace("_", "-")
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
    from genzoo.models import convert as conversion

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


def verify(
    name: Annotated[str, typer.Argument(help="Zoo model, checkpoint or exported folder, or org/name@<commit>.")],
    backbone: Annotated[
        str | None, typer.Option(help="Frozen LLM in place of the one that the checkpoint names.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Record the fingerprint of a folder as it is now.")] = False,
    json: Json = False,
) -> None:
    """Recompute a model's digests and probe embeddings, and say exactly what differs from what was recorded."""
    from dataclasses import asdict

    from genzoo.publishing import verify as verification

    with busy("reading the model") as status:
        if write:
            path = verification.write_fingerprint(name, backbone=backbone, status=status.update)
            if json:
                print_json({"fingerprint": str(path)})
            else:
                out.print(f"wrote {path}", highlight=False)
            return
        findings = verification.verify(name, backbone=backbone, status=status.update)
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "[green]equal  [/]" if finding.is_equal else "[bold red]differs[/]"
            out.print(f"{mark} {escape(finding.what):<12} ", end="", markup=True)
            out.print(finding.detail, highlight=False, markup=False)
    if differing := [finding.what for finding in findings if not finding.is_equal]:
        raise VerifyError(f"{name} is not what was recorded: {', '.join(differing)}")


def publish(
    name: Annotated[str, typer.Argument(help="Zoo model, checkpoint folder or exported folder.")],
    repo: Annotated[str, typer.Option(help="Where to: org/name.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Publish the self-contained form, backbone included.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Keep the repository private.")] = False,
    tag: Annotated[str | None, typer.Option(help="Name for the commit, such as v1.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another model in the repository.")] = False,
    results: Annotated[
        Path | None, typer.Option(help="Folder that genzoo evaluate wrote, for the card's scores.")
    ] = None,
    licence: Annotated[str, typer.Option(help="The backbone's licence, where genzoo does not know the backbone.")] = "",
    training_data: Annotated[str, typer.Option(help="What it was trained on, with licences.")] = "",
    base_model: Annotated[str, typer.Option(help="Hub id of the backbone, where the checkpoint names a folder.")] = "",
    card: Annotated[Path | None, typer.Option(help="Also write the model card here.")] = None,
) -> None:
    """Publish a model on the Hub: shows every file first, then writes one commit, reads it back and tags it.

    The token is that of `hf auth login` or HF_TOKEN; HF_ENDPOINT names another Hub.
    """
    import tempfile

    from genzoo.files import write_bytes
    from genzoo.publishing import hub, plan
    from genzoo.publishing import publish as publisher

    api = hub.connect()
    scores = _scores(results, name)
    options = plan.PublishOptions(
        merge=merge, is_private=private, tag=tag, overwrite=overwrite, licence=licence, training_data=training_data,
        base_model=base_model, scores=scores,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="genzoo-publish-") as staging:
        with busy("putting the files together") as status:
            planned = plan.build_plan(name, repo, Path(staging), options, status.update)
        _show_plan(planned, api.endpoint)
        if card:
            write_bytes(card, next(file.source for file in planned.files if file.path == "README.md").read_bytes())
        if planned.problems:
            raise PublishError(f"{len(planned.problems)} problems stand in the way (above); nothing was sent")
        if dry_run:
            out.print("Nothing was sent (--dry-run).", highlight=False)
            return
        with busy("publishing") as status:
            done = publisher.publish(planned, api, status.update)
    what = "published" if done.is_new else "was complete already:"
    out.print(f"{what} {done.url}", highlight=False, markup=False)
    out.print(f"commit {done.commit}" + (f", tag {done.tag}" if done.tag else ""), highlight=False)
    out.print(f'Use it: SentenceTransformer("{repo}", revision="{done.commit}")', highlight=False, markup=False)


def _scores(results: Path | None, name: str) -> CardScores:
    from genzoo.publishing.scores import CardScores

    if results is None:
        return CardScores()
    from genzoo.models.entries import get_entry
    from genzoo.models.loading import find_checkpoint
    from genzoo.reports.card_scores import read_card_scores

    shown = Path(name).resolve().name if Path(name).is_dir() else get_entry(name).hub_id
    return read_card_scores(results, shown, find_checkpoint(name).digest())


def _show_plan(planned: PublishPlan, endpoint: str) -> None:
    from rich.table import Table

    table = Table("file", "bytes", "sha256", box=None, header_style="bold", pad_edge=False)
    table.columns[1].justify = "right"
    for file in planned.files:
        table.add_row(file.path, f"{file.size:,}", file.sha256[:16])
    out.print(table)
    visibility = "private" if planned.is_private else "public"
    out.print(
        f"{len(planned.files)} files, {planned.size / 1e6:.1f} MB, {planned.form} form -> {endpoint}/{planned.repo_id} ({visibility}"
        + (f", tag {planned.tag})" if planned.tag else ")"),
        highlight=False, markup=False,
    )  # fmt: skip
    if planned.left_out:
        out.print(f"stay at home: {', '.join(planned.left_out[:12])}", highlight=False, markup=False)
    for problem in planned.problems:
        out.print("[bold red]problem[/] ", end="", markup=True)
        out.print(problem, highlight=False, markup=False)


def collection(
    title: Annotated[str, typer.Argument(help="Title of the collection, such as 'genzoo 0.1'.")],
    repos: Annotated[list[str], typer.Argument(help="Published models: org/name ...")],
    namespace: Annotated[
        str | None, typer.Option(help="User or organisation; that of the first model by default.")
    ] = None,
    description: Annotated[str, typer.Option(help="At most 150 characters.")] = "",
    private: Annotated[bool, typer.Option("--private", help="Hide a new collection.")] = False,
) -> None:
    """Group published models of one release in a collection on the Hub."""
    from genzoo.publishing import hub
    from genzoo.publishing import publish as collection

    api = hub.connect()
    with busy("grouping the models"):
        url, items = collection.group_models(
            title, repos, api, namespace=namespace, description=description, is_private=private
        )
    out.print(f"{url}: {', '.join(items)}", highlight=False, markup=False)


def model_meta(
    name: Annotated[str, typer.Argument(help="Zoo model.")],
    repo: Annotated[str | None, typer.Option(help="Where it was published: org/name.")] = None,
    revision: Annotated[str | None, typer.Option(help="The commit that genzoo publish printed.")] = None,
) -> None:
    """Print the mteb.ModelMeta of a model as Python: one paste for a pull request to mteb."""
    from genzoo.cli.console import err
    from genzoo.tasks import model_meta as module

    with busy("looking at the model") as status:
        source = module.render_source(module.published_meta(name, repo, revision, status.update))
    out.print(source, highlight=False, markup=False, end="")
    if revision is None:
        err.print(
            "The revision is the checkpoint's digest: once published, give the commit with --revision.", highlight=False
        )


def bundle(
    folder: Annotated[Path, typer.Option("--output", "-o", help="Where to write the bundle.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Zoo models, backbones, teachers, org/name@<commit>.")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", "-b", help="Also pack the data sets of its tasks.")
    ] = None,
    tasks: Annotated[list[str] | None, typer.Option("--task", "-t", help="Also pack a task's data set.")] = None,
) -> None:
    """Pack models, frozen LLMs and data sets at their pinned revisions, for a network without a Hub."""
    from genzoo.publishing.bundle import pack

    with busy("packing") as status:
        datasets = _load_datasets(benchmark, tasks or [], status.update)
        manifest = pack(names or [], datasets, folder, status.update)
    size = sum(file["size"] for file in manifest.files.values())
    out.print(f"wrote {folder}: {len(manifest.files)} files, {size / 1e6:.1f} MB", highlight=False)
    out.print(f"On the other side: genzoo unbundle {folder}", highlight=False, markup=False)


def _load_datasets(benchmark: str | None, tasks: list[str], status: Status) -> list[DataSet]:
    """Load every data set once: offline, only what `datasets` has prepared can be read."""
    if not benchmark and not tasks:
        return []
    from genzoo.backbones.revisions import COMMIT
    from genzoo.publishing.manifest import DataSet
    from genzoo.tasks.sets.registration import resolve_tasks
    from genzoo.text import first_line

    needed = []
    for task in resolve_tasks(benchmark, tasks)[0]:
        path, revision = task.metadata.dataset.get("path", ""), task.metadata.dataset.get("revision", "")
        if path.startswith("genzoo/"):
            continue  # ships with genzoo
        if not COMMIT.fullmatch(revision) or "/" not in path:
            raise InputError(
                f"{task.metadata.name} names no commit of its data set ({path or 'none'} at {revision or 'none'}): it cannot be carried "
                "over; leave it out by naming the other tasks with -t"
            )
        status(f"loading {path}")
        try:
            task.load_data()
        except Exception as error:
            raise ZooError(
                f"the data set {path} of {task.metadata.name} cannot be loaded ({type(error).__name__}: {first_line(error)}): a bundle is "
                "made where the Hub can be reached"
            ) from error
        task.unload_data()
        needed.append(DataSet(path, revision))
    return list(dict.fromkeys(needed))


def unbundle(
    folder: Annotated[Path, typer.Argument(help="Folder that genzoo bundle wrote.")],
) -> None:
    """Check a bundle and put it into this machine's caches; everything in it then works with HF_HUB_OFFLINE=1."""
    from genzoo.publishing.bundle import unpack

    with busy("checking") as status:
        done = unpack(folder, status=status.update)
    for hub_id, revision in done.models:
        out.print(f'SentenceTransformer("{hub_id}", revision="{revision}")', highlight=False, markup=False)
    for cache in done.caches:
        out.print(
            f"frozen LLM or teacher: {cache.removeprefix('hub/models--').replace('--', '/')}",
            highlight=False,
            markup=False,
        )
    for path, revision in done.datasets:
        out.print(f'load_dataset("{path}", revision="{revision}")', highlight=False, markup=False)
    for warning in done.warnings:
        out.print("[bold yellow]warning[/] ", end="", markup=True)
        out.print(warning, highlight=False, markup=False)
    out.print("Set HF_HUB_OFFLINE=1, so that no library looks for a network.", highlight=False)
