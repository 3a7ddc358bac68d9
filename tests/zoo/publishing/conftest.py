"""A loopback Hub, and models that are published to it."""

import os
import secrets

# Read once by the clients: this Hub takes uncompressed xorbs only, and telemetry has no business in a test.
os.environ.setdefault("HF_XET_XORB_COMPRESSION_POLICY", "none")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import pytest
from conftest_builders import build_checkpoint
from huggingface_hub import constants
from loopback_hub import Hub, serve

from genzoo.hub import connect
from genzoo.publishing.plan import PublishOptions, build_plan

REPO = "alice/Tiny-LLM2Vec-Gen"


@pytest.fixture(scope="session")
def token():
    """A token of this run; no output may ever hold it."""
    return "hf_" + secrets.token_hex(20)


@pytest.fixture
def users(token):
    return {token: ("alice", ["acme"], "write"), "hf_other": ("bob", [], "write"), "hf_reader": ("alice", [], "read")}


@pytest.fixture(params=["lfs", "xet"])
def route(request, monkeypatch):
    """Both ways on which large files go up."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", request.param == "lfs")
    return request.param


@pytest.fixture
def server(users):
    with serve(Hub(users), has_xet=True) as running:
        yield running


@pytest.fixture
def lfs_only(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def api(server, token):
    return connect(server.endpoint, token)


@pytest.fixture(scope="session")
def options():
    """What a user gives for a model that genzoo did not train."""
    return PublishOptions(
        merge=True, licence="apache-2.0", training_data="twelve sentences of our own", base_model="alice/tiny-backbone", tag="v1"
    )  # fmt: skip


@pytest.fixture(scope="session")
def plan(qwen3, options, tmp_path_factory):
    """A tiny model ready to be published, in its self-contained form."""
    root = tmp_path_factory.mktemp("plan")
    checkpoint = build_checkpoint(qwen3).save(root / "checkpoint")
    return build_plan(str(checkpoint), REPO, root / "staging", options)


@pytest.fixture
def quick(lfs_only, monkeypatch):
    """The client library waits a second and more between its own tries of an upload."""
    from huggingface_hub.utils import _http, logging

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)
    logging.set_verbosity_error()
    yield
    logging.set_verbosity_warning()
