"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import genzoo.leaderboards

MODULES = [f"genzoo.leaderboards.{module.name}" for module in pkgutil.iter_modules(genzoo.leaderboards.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
