"""Writes the fragments that pages include: all of them come from the registries, the command line and the data cards.

`docs/conf.py` calls `write` at the start of every build; `python docs/generate.py FOLDER` writes them without a build.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import python_reference

ROOT = Path(__file__).resolve().parents[1]
TOP_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")


def write(folder: Path) -> None:
    """Write every fragment into a folder, replacing what an earlier build wrote there."""
    folder.mkdir(exist_ok=True)
    made = dict(_fragments())
    for old in set(folder.iterdir()) - {folder / name for name in made}:
        old.unlink()
    for name, text in made.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")  # an unchanged fragment keeps its time: nothing is built twice


def _fragments() -> Iterator[tuple[str, str]]:
    from genzoo.models.entries import ENTRIES
    from genzoo.tasks.sets.benchmarks import own_benchmarks

    yield "python.md", python_reference.python()
    yield "command-line.md", command_line()
    yield "recipe-fields.md", recipe_fields()
    yield "recipes.md", named_recipes()
    yield "backbones.md", backbones()
    yield "teachers.md", teachers()
    yield "models.md", models()
    for entry in ENTRIES:
        yield f"model-{entry.name}.md", model_facts(entry)
    for benchmark in own_benchmarks():
        yield f"{benchmark.aliases[0]}.md", benchmark_tasks(benchmark)
        if cards := data_cards(benchmark):
            yield f"{benchmark.aliases[0]}-cards.md", cards
    for name in TOP_PAGES:
        yield name.lower(), without_title(name)


def _table(heading: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; pipes and line ends inside cells are made harmless."""
    heading = list(heading)
    lines = [heading, ["---"] * len(heading), *rows]
    cells = ([re.sub(r"\s+", " ", str(cell)).replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def _code(value: object) -> str:
    return f"`{value}`" if value not in ("", None) else "–"


def command_line() -> str:
    """Every command with its arguments and options, from the app itself."""
    import typer
    from typer.cli import get_docs_for_click

    from genzoo.cli.app import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="genzoo"), name="genzoo")
    general = re.search(r"^\*\*Options\*\*:\n\n((?:^\* .*\n)+)", text, flags=re.M)
    text = re.sub(r"\A.*?(?=^## )", "", text, flags=re.S | re.M)  # the page has its own title and list of commands
    text = f"## Options of every command\n\nGive these options before the command.\n\n{general[1] if general else ''}\n{text}"
    text = re.sub(r"^\* `--help`.*\n", "", text, flags=re.M)
    text = re.sub(r"\*\*Usage\*\*:\n\n|\*\*Options\*\*:\n\n(?=\n*(##|\Z))", "", text)
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or r"\<", text)  # outside of code it would be read as HTML


def recipe_fields() -> str:
    """Each field of a recipe with its default, its limits and what its docstring says."""
    from genzoo.recipes.recipes import Recipe

    return "\n".join(_field_tables(Recipe, ""))


def _field_tables(kind: type, prefix: str) -> Iterator[str]:
    hints, told, inner, rows = get_type_hints(kind, include_extras=True), _attributes(kind), [], []
    for one in fields(kind):
        if is_dataclass(hints[one.name]):
            inner.append((hints[one.name], f"{prefix}{one.name}."))
        else:
            missing = repr(one.default).startswith("<dataclasses")
            default = "required" if missing else _code("none" if one.default is None else one.default)
            rows.append((_code(prefix + one.name), default, _allowed(hints[one.name]), told[one.name]))
    title = prefix.rstrip(".") or "The recipe itself"
    yield f"## {title}\n\n{_summary(kind)}\n\n{_table(('field', 'default', 'allowed', 'meaning'), rows)}"
    for part, name in inner:
        yield from _field_tables(part, name)


def _allowed(hint: Any) -> str:
    """The limits of a field in words, from its pydantic annotation."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(hint).json_schema()
    first, *others = schema.get("anyOf", [schema])
    if "enum" in first:
        return ", ".join(map(_code, first["enum"]))
    kind = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}[first["type"]]
    limits = [
        f"{sign} {first[key]:,}"
        for key, sign in {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}.items()
        if key in first
    ]
    return ", ".join([kind, *limits]) + (", or none" if others else "")


def _summary(kind: type) -> str:
    """The first paragraph of a docstring."""
    return _markdown((kind.__doc__ or "").split("\n\n")[0])


def _attributes(kind: type) -> dict[str, str]:
    """Field -> text of a Google docstring's section `Attributes`."""
    section = (kind.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w|^ {4}\S|\Z)", section, flags=re.S | re.M)
    return {name: _markdown(text) for name, text in found}


def _markdown(text: str) -> str:
    """A docstring's double backticks as single ones, on one line."""
    return re.sub(r"\s+", " ", text).replace("``", "`").strip()


def named_recipes() -> str:
    """What each named recipe changes from the defaults."""
    from genzoo.recipes.recipes import RECIPES

    rows = []
    for recipe in RECIPES:
        changed = ", ".join(f"`{name}={value}`" for name, value in _changes(recipe))
        rows.append((_code(recipe.name), _code(recipe.backbone), _code(recipe.teacher), changed or "–"))
    return _table(("recipe", "frozen LLM", "teacher", "fields that differ from their defaults"), rows)


def _changes(row: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for one in fields(row):
        value = getattr(row, one.name)
        if is_dataclass(value):
            yield from _changes(value, f"{prefix}{one.name}.")
        elif prefix + one.name not in ("name", "backbone", "teacher") and value != one.default:
            yield prefix + one.name, value


def backbones() -> str:
    """Every frozen LLM that a recipe or a model may name."""
    from genzoo.backbones.entries import BACKBONES

    rows = [(_code(b.key), _code(b.hub_id), b.family, f"{b.hidden_size:,}", b.licence) for b in BACKBONES]
    return _table(("name", "on the Hub", "architecture", "hidden size", "licence"), rows)


def teachers() -> str:
    """Every teacher with a name."""
    from genzoo.teachers.teachers import TEACHERS

    rows = [(_code(t.key), _code(t.hub_id), t.dim, t.max_tokens, t.licence) for t in TEACHERS]
    return _table(("name", "on the Hub", "dimension", "longest input, tokens", "licence"), rows)


def models() -> str:
    """The zoo's models in one table, each with a link to its page."""
    from genzoo.models.entries import ENTRIES

    for entry in ENTRIES:
        if not (ROOT / "docs" / "models" / f"{entry.name}.md").is_file():
            raise FileNotFoundError(f"docs/models/{entry.name}.md: every model of the zoo has a page")
    rows = [(f"[`{e.name}`]({e.name}.md)", _code(e.backbone), _code(e.teacher), e.dim, e.licence) for e in ENTRIES]
    return _table(("model", "frozen LLM", "teacher", "dimension", "licence"), rows)


def model_facts(entry: Any) -> str:
    """What the registry and the checkpoint say about one model, with its held-out controls."""
    info = json.loads((entry.folder / "genzoo.json").read_text(encoding="utf-8"))
    spec, controls = info["spec"], info["info"]["controls"]
    size = sum(path.stat().st_size for path in entry.folder.rglob("*") if path.is_file()) / 1e6
    rows = [
        ("name on the Hub and in results", _code(entry.hub_id)),
        ("revision", _code(entry.revision)),
        ("frozen LLM", f"{_code(entry.backbone)}, weights with digest {_code(entry.backbone_digest)}"),
        ("teacher", _code(entry.teacher)),
        ("recipe", f"[{_code(entry.recipe)}](../reference/recipes.md#named-recipes)"),
        ("embedding dimension", entry.dim),
        ("trained tokens", f"{spec['n_compression']} compression, {spec['n_thought']} thought"),
        *([("tokens read after", f"layer {info['exit_layer']}")] if info.get("exit_layer") else []),
        ("longest input", f"{entry.max_tokens} tokens, the trained ones included"),
        ("size in the package", f"{size:.1f} MB, without the frozen LLM"),
        ("licence", entry.licence),
        ("released", entry.release_date),
        ("training data", entry.training_data),
        ("mteb tasks whose texts were seen in training", ", ".join(sorted(entry.training_datasets))),
    ]
    return f"{_table(('fact', 'value'), rows)}\n## Held-out controls\n\n{_controls(controls)}"


def _controls(found: dict[str, Any]) -> str:
    rows = [
        ("held-out queries", found["n"]),
        ("loss of the LLM's own response, given the query's soft prompts", f"{found['recon_own']:.2f} nats per token"),
        ("the same, given another query's soft prompts", f"{found['recon_shuffled']:.2f} nats per token"),
        (
            "difference, with its 95 % interval",
            f"{found['recon_shuffled'] - found['recon_own']:.2f} [{found['gap_low']:.2f}, {found['gap_high']:.2f}]",
        ),
        (
            f"decoded text nearest to the own response, among {found['others']} others",
            f"{100 * found['decoded']:.1f} % [{100 * found['decoded_low']:.1f}, {100 * found['decoded_high']:.1f}]",
        ),
    ]
    if found.get("refused"):
        others = found["n"] - found["refused"]
        told = f"{found['refused_decoded']} of {found['refused']} and {found['answered_decoded']} of {others}"
        rows.append(("decoded to a refusal, of the queries that the content policy refuses and of the others", told))
    return _table(("control", "value"), rows)


def benchmark_tasks(benchmark: Any) -> str:
    """The tasks of one benchmark."""
    rows = []
    for task in benchmark.tasks:
        meta = task.metadata
        where = "in the package" if hasattr(task, "bundled") else _code(meta.dataset["path"])
        rows.append(
            (_code(meta.name), meta.type, _sizes(task), _code(meta.main_score), where, meta.license or "unknown")
        )
    table = _table(("task", "type", "size", "main metric", "data", "licence"), rows)
    return f"{benchmark.description}\n\nNames: `{benchmark.name}`, `{benchmark.aliases[0]}`.\n\n{table}"


def data_cards(benchmark: Any) -> str:
    """The data cards of the sets of a benchmark that ship with the package, each once."""
    sets = {task.bundled.name: task.bundled for task in benchmark.tasks if hasattr(task, "bundled")}
    return "\n\n".join(map(_card, sets.values()))


def _sizes(task: Any) -> str:
    """Number of texts: counted where the set ships with the package, else as mteb describes it."""
    bundled = getattr(task, "bundled", None)
    if bundled is not None:
        words = {"corpus": "passages", "test": "test items", "train": "training items"}
        names = [name for name in bundled.files if not name.endswith("qrels.jsonl")]
        counts = {name.removesuffix(".jsonl"): len(bundled.rows(name)) for name in names}
        return ", ".join(f"{n} {words.get(name, name.replace('_', ' '))}" for name, n in counts.items())
    told = task.metadata.descriptive_stats or {}
    samples = [told[split].get("num_samples") for split in task.eval_splits if split in told]
    return f"{sum(samples):,} texts" if samples and None not in samples else "see mteb"


def _card(bundled: Any) -> str:
    """A data card without its metadata block, its title one level down."""
    text = re.sub(r"\A---\n.*?\n---\n", "", bundled.text("README.md"), flags=re.S)
    return re.sub(r"^# ", "## Data card: ", text.strip(), flags=re.M)


def without_title(name: str) -> str:
    """A page that the repository keeps at its top, without its title."""
    return (ROOT / name).read_text(encoding="utf-8").partition("\n")[2].lstrip()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
