import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "genzoo",
        "genzoo.registry",
        "genzoo.entries",
        "genzoo.intervals",
        "genzoo.training.views",
        "genzoo.training.phases",
        "genzoo.packing",
    ],
)
def test_examples_in_docstrings(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed
