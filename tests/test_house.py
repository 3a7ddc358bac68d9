"""The house: packages are complete, imports run one way."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"zoo": "genzoo", "tasks": "genzoo.tasks", "leaderboards": "genzoo.leaderboards", "reports": "genzoo.reports"}
ALLOWED = {
    "zoo": set(),
    "tasks": {"zoo"},
    "leaderboards": {"zoo", "tasks"},
    "reports": {"zoo", "tasks", "leaderboards"},
}


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _room(module):
    for room in ("tasks", "leaderboards", "reports"):
        if module == f"genzoo.{room}" or module.startswith(f"genzoo.{room}."):
            return room
    return "zoo" if module == "genzoo" or module.startswith("genzoo.") else None


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    for path in (ROOT / room).rglob("*.py"):
        if path.is_relative_to(ROOT / "zoo" / "cli"):
            continue  # the command line is the one that crosses
        if path == ROOT / "zoo" / "__init__.py":
            continue  # the public names of all rooms; what type checkers read there is not imported
        used = {_room(module) for module in _imports(path)} - {None, room}
        assert used <= ALLOWED[room], f"{path} imports from {used - ALLOWED[room]}"


def test_every_folder_with_code_is_a_declared_package():
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = set()
    for room, package in ROOMS.items():
        for path in (ROOT / room).rglob("__init__.py"):
            inner = path.parent.relative_to(ROOT / room).parts
            found.add(".".join((package, *inner)))
    assert found == set(facts["tool"]["setuptools"]["packages"])


def test_no_file_is_called_utils():
    for room in ROOMS:
        assert not [p for p in (ROOT / room).rglob("*.py") if re.fullmatch(r"(utils|helpers|common)", p.stem)]


def _names(requirements):
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    return {canonicalize_name(Requirement(text).name) for text in requirements}


def test_all_that_is_imported_is_declared():
    """Whatever the package imports of others, at the top or inside a function, is a dependency, an extra one behind its extra."""
    import importlib.metadata
    import sys

    from packaging.utils import canonicalize_name

    facts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = _names(facts["dependencies"])
    optional = set().union(*(_names(rows) for name, rows in facts["optional-dependencies"].items() if name != "dev"))
    known = importlib.metadata.packages_distributions()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            top = {
                line.split()[1].partition(".")[0]
                for line in path.read_text().splitlines()
                if line.startswith(("import ", "from "))
            }
            for module in {name.partition(".")[0] for name in _imports(path)} - sys.stdlib_module_names - {"genzoo"}:
                names = {canonicalize_name(name) for name in known.get(module, [module])}
                allowed = needed if module in top else needed | optional
                assert names & allowed, f"{path} imports {module}, which pyproject.toml does not declare"


def test_no_dependency_is_declared_for_nothing():
    """What is not imported is needed by a library that we use, and is said to be."""
    import importlib.metadata

    from packaging.utils import canonicalize_name

    known = importlib.metadata.packages_distributions()
    used = {
        canonicalize_name(name)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for module in _imports(path)
        for name in known.get(module.partition(".")[0], [])
    }
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert _names(declared) - used <= {"gguf", "pydantic"}
