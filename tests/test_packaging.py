"""What pyproject.toml declares is what the package imports, ships and says of itself."""

import ast
import importlib.metadata
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import genzoo

ROOT = Path(__file__).parents[1]
FOLDERS = ("zoo", "tasks", "leaderboards", "reports")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
KNOWN = importlib.metadata.packages_distributions()

# Declared although nothing imports them: transformers reads a GGUF file with gguf, backbones are fetched by `python -m pip`.
USED_WITHOUT_IMPORT = {"gguf"}


def _names(requirements):
    return {canonicalize_name(Requirement(text).name) for text in requirements}


NEEDED = _names(PROJECT["dependencies"])
OPTIONAL = {name: _names(rows) for name, rows in PROJECT["optional-dependencies"].items() if name != "dev"}


def _imports(path):
    """The top-level names a module imports, and whether that happens while it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, FUNCTIONS) for node in ast.walk(function)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "find_spec")):
            names = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
        for name in names:
            yield name.partition(".")[0], id(node) not in inside


def _distributions(module):
    return {canonicalize_name(name) for name in KNOWN.get(module, [module])}


def _third_party(path):
    for module, at_import in _imports(path):
        if module not in sys.stdlib_module_names and module != "genzoo":
            yield module, at_import


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_import_is_declared(folder):
    """At the top of a module only a dependency; inside a function also what an extra brings, if the pip command is given."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for module, at_import in _third_party(path):
            names = _distributions(module)
            extras = [extra for extra, rows in OPTIONAL.items() if names & rows]
            if names & NEEDED:
                continue
            assert extras, f"{path} imports {module}, which pyproject.toml does not declare"
            assert not at_import, f"{path} imports {module} of the extra {extras[0]} when it is itself imported"
            command = f"pip install 'genzoo[{extras[0]}]'"
            assert command in path.read_text(encoding="utf-8"), (
                f"{path} imports {module} without an error that says: {command}"
            )


def test_the_check_of_imports_sees_what_it_must(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import a.b\nfrom c import d\nfrom . import e\ndef f():\n    import g\n    find_spec('h')\n    import_module(x)\n"
    )
    assert list(_imports(path)) == [("a", True), ("c", True), ("g", False), ("h", False)]


def test_no_dependency_is_declared_for_nothing():
    used = {
        name
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for module, _ in _third_party(path)
        for name in _distributions(module)
    }
    assert NEEDED - used == USED_WITHOUT_IMPORT


def test_every_requirement_has_a_lower_bound():
    rows = [*PROJECT["dependencies"], *(row for rows in PROJECT["optional-dependencies"].values() for row in rows)]
    for requirement in map(Requirement, rows):
        operators = {one.operator for one in requirement.specifier}
        assert requirement.name == "genzoo" or ">=" in operators, f"{requirement} allows versions that nobody tried"


def test_the_pinned_versions_are_allowed():
    pinned = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    }
    rows = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, rows):
        if requirement.name not in {"genzoo", "pip"}:  # pip comes with the environment
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_the_version_is_written_once():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    assert importlib.metadata.version("genzoo") == genzoo.__version__
    changes = (ROOT / "CHANGELOG.md").read_text()
    (newest, _), *_ = re.findall(r"^## \[([\d.]+)\] - (.+)$", changes, re.M)
    assert newest == genzoo.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == genzoo.__version__


def test_the_quick_selection_of_try_versions_exists():
    spec = importlib.util.spec_from_file_location("try_versions", ROOT / "benchmarks" / "try_versions.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert len(script.selection(ROOT)) >= len(script.QUICK)
