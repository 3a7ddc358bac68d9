"""The house: imports run one way, and no module is a box for everything."""

import ast
import re
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
        used = {_room(module) for module in _imports(path)} - {None, room}
        assert used <= ALLOWED[room], f"{path} imports from {used - ALLOWED[room]}"


def test_no_file_is_called_utils():
    for room in ROOMS:
        assert not [p for p in (ROOT / room).rglob("*.py") if re.fullmatch(r"(utils|helpers|common)", p.stem)]
