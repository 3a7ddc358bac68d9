"""What several tests of the zoo need: tiny backbones of every family, and what is logged."""

import logging

import pytest
from conftest_builders import build_backbone

FAMILIES = {
    "llama": {"bos": True, "tied": False, "padding_side": "left"},
    "llama-tied": {"bos": True, "tied": True, "padding_side": "right"},
    "qwen2": {"bos": False, "tied": True, "padding_side": "right"},
    "qwen3": {"bos": False, "tied": False, "padding_side": "left"},
    "mistral": {"bos": True, "tied": False, "padding_side": "left", "sliding_window": 12},
    "gemma3_text": {"bos": True, "tied": True, "padding_side": "left", "chat": False, "sliding_window": 12},
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """Folder of a tiny backbone; the test runs once for each family."""
    folder = tmp_path_factory.mktemp("family") / request.param
    return build_backbone(folder, request.param.removesuffix("-tied"), **FAMILIES[request.param])


@pytest.fixture
def notes():
    """The warnings that genzoo logs during the test, as text."""
    found, handler = [], logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())
    logging.getLogger("genzoo").addHandler(handler)
    yield found
    logging.getLogger("genzoo").removeHandler(handler)
