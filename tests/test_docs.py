"""The documentation builds with warnings as errors, leaves out no model, benchmark or public name, and points at real files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import genzoo

ROOT = Path(__file__).parents[1]
PAGES = [path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts]


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build a copy of the project's pages strictly."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "docs", "site"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A copy of the project's documentation, built."""
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'genzoo[docs]'")
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("generated", "__pycache__"))
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, folder)
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_reachable_and_holds_no_address_to_load_from(site):
    index = (site / "site" / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        target = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert target == "index.html" or f'href="{target}"' in index, target
    for path in (site / "site").rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]* src="(.*?)"|<link[^>]* rel="stylesheet"[^>]* href="(.*?)"', path.read_text()
        )
        assert not [one for pair in loaded for one in pair if one.startswith(("http:", "https:", "//"))], path


def test_every_public_name_and_command_has_its_entry(site):
    python = (site / "site" / "reference" / "python.html").read_text(encoding="utf-8")
    names = {name for name in genzoo.__all__ if name not in ("__version__", "plots")}
    names |= {f"plots.{name}" for name in genzoo.plots.__all__}
    assert not [name for name in names if f'id="genzoo.{name}"' not in python]
    from typer.main import get_command

    from genzoo.cli.app import app

    commands = (site / "site" / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert not [name for name in get_command(app).commands if f'id="genzoo-{name}"' not in commands]


def test_every_model_and_benchmark_has_a_page():
    from genzoo.tasks.sets.benchmarks import own_benchmarks

    for name in genzoo.list_models():
        page = (ROOT / "docs" / "models" / f"{name}.md").read_text(encoding="utf-8")
        assert f"generated/model-{name}.md" in page
    for benchmark in own_benchmarks():
        alias = benchmark.aliases[0]
        page = (ROOT / "docs" / "benchmarks" / f"{alias.removeprefix('genzoo-')}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# `{benchmark.name}`\n") and f"generated/{alias}.md" in page


def test_a_dead_link_a_missing_anchor_and_an_unknown_name_fail_the_build(site):
    page = site / "docs" / "changelog.md"
    whole = page.read_text(encoding="utf-8")
    broken = {
        "[a page](missing.md)": "'missing.md'",
        "[a heading](quickstart.md#no-such-heading)": "'no-such-heading'",
        "{py:obj}`genzoo.no_such_name`": "genzoo.no_such_name",
        "![a picture](_static/no-such.png)": "no-such.png",
    }
    page.write_text("\n\n".join([whole, *broken]), encoding="utf-8")
    try:
        done = build(site)
    finally:
        page.write_text(whole, encoding="utf-8")
    assert done.returncode != 0
    assert not [text for text, complaint in broken.items() if complaint not in done.stderr], done.stderr


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_of_the_repository_exist(page):
    """Paths in running text, and the links of the README, which GitHub shows without any generator."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(
        r"`(?:python )?((?:benchmarks|docs|examples|leaderboards|reports|tasks|tests|zoo)/[\w./-]+)", text
    )
    if page.name == "README.md":
        named += [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("http", "#"))]
    assert not [path for path in named if not (ROOT / path).exists()]
    assert page.name != "README.md" or text.count("\n") <= 150


@dataclass
class _Undescribed:
    """A group of fields.

    Attributes:
        steps: How many.
    """

    steps: int = 1
    batch: int = 2


def test_a_recipe_field_without_a_description_is_an_error():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generate
    finally:
        sys.path.remove(str(ROOT / "docs"))
    table = generate.recipe_fields()
    assert "| `optim.steps` | `5000` | whole number, ≥ 1 | " in table
    assert "| `response.source` | `own` | `own`, `echo`, `none` | " in table
    with pytest.raises(KeyError, match="batch"):
        list(generate._field_tables(_Undescribed, ""))
