"""The house: imports run one way, there is no circle, and every module has a test file of its name."""

import ast
import collections
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"zoo": "genzoo", "tasks": "genzoo.tasks", "leaderboards": "genzoo.leaderboards", "reports": "genzoo.reports"}
# A room imports from those before it. The modules that stand in zoo/ itself, such as `errors`, are the ground that all stand on.
ORDER = ("zoo", "zoo/recipes", "zoo/backbones", "zoo/models", "zoo/teachers", "zoo/policies", "zoo/training", "zoo/publishing", "tasks", "leaderboards", "reports")  # fmt: skip
MOST_MODULES = 13
LEFT_OUT = ("__init__.py", "__main__.py")


def _paths(root=ROOT):
    """Module -> its file."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            found[".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


def _imports(path, known):
    """The package's modules that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


def _graph(root=ROOT):
    """Module -> the modules that it imports; a package's own ``__init__`` only names its parts."""
    paths = _paths(root)
    packages = {module for module, path in paths.items() if path.name == "__init__.py"}
    graph = {}
    for module, path in paths.items():
        used = set(_imports(path, paths)) - {module}
        graph[module] = {each for each in used if not (each in packages and module.startswith(f"{each}."))}
        if module in packages:
            graph[module] = {each for each in graph[module] if not each.startswith(f"{module}.")}
    return graph


def _room(path, root=ROOT):
    inside = path.relative_to(root).parts
    return "/".join(inside[:2]) if inside[0] == "zoo" and len(inside) > 2 else inside[0]


def _circle(graph):
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_there_is_no_circle_of_imports():
    assert _circle(_graph()) == []


def test_the_search_for_circles_finds_one(tmp_path):
    for name, text in {
        "a": "from genzoo.b import x",
        "b": "def f():\n    from genzoo.c import y",
        "c": "import genzoo.a",
    }.items():
        (tmp_path / "zoo").mkdir(exist_ok=True)
        (tmp_path / "zoo" / f"{name}.py").write_text(text)
    assert set(_circle(_graph(tmp_path))) == {"genzoo.a", "genzoo.b", "genzoo.c"}


@pytest.mark.parametrize("room", ORDER)
def test_imports_run_one_way(room):
    paths = _paths()
    for module, used in _graph().items():
        if _room(paths[module]) == room and paths[module].name != "__main__.py":
            for each in used:
                other = _room(paths[each])
                assert other in ORDER[: ORDER.index(room) + 1], f"{module} imports {each}: {room} stands below {other}"


def test_only_the_command_line_crosses():
    paths = _paths()
    rooms = {_room(path) for path in paths.values()}
    assert rooms - set(ORDER) == {"zoo/cli"}
    importers = {module for module, used in _graph().items() if any(each.startswith("genzoo.cli") for each in used)}
    assert {module for module in importers if not module.startswith("genzoo.cli")} <= {
        "genzoo.__main__",
        "genzoo.training.__main__",
    }


def test_a_room_is_small_enough_to_be_seen_at_once():
    flat = collections.Counter(path.parent for path in _paths().values() if path.name != "__init__.py")
    assert {str(folder): count for folder, count in flat.items() if count > MOST_MODULES} == {}


def test_every_module_has_a_test_file_of_its_name():
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert [
        str(path) for path in _paths().values() if path.name not in LEFT_OUT and f"test_{path.name}" not in tests
    ] == []


def test_no_public_class_has_the_name_of_another():
    homes = collections.defaultdict(list)
    for module, path in _paths().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_no_file_is_called_utils():
    assert not [path for path in _paths().values() if re.fullmatch(r"(utils|helpers|common)", path.stem)]
