import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "genzoo",
        "genzoo.names",
        "genzoo.models.entries",
        "genzoo.intervals",
        "genzoo.training.examples",
        "genzoo.training.examples",
        "genzoo.backbones.forward",
    ],
)
def test_examples_in_docstrings(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed
