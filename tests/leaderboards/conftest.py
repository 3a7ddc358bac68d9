"""The results tree as a fixture; tests import nothing from each other, so the builder is loaded by path."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("leaderboards_results_tree", Path(__file__).parent / "results_tree.py")
_builder = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_builder)


@pytest.fixture(scope="session")
def builder():
    """The module that writes trees."""
    return _builder


@pytest.fixture
def tree(tmp_path):
    """An empty tree."""
    return _builder.ResultsTree(tmp_path / "results-folder")


@pytest.fixture
def full_tree(tmp_path):
    """Four models on nine tasks."""
    return _builder.full_tree(tmp_path / "results-folder")
