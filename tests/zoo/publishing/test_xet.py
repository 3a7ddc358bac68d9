"""Large files over xet, both ways: what went up in chunks comes down in chunks, whole or a part of it."""

import hashlib

import numpy as np
import pytest
from huggingface_hub import HfApi, constants, hf_hub_download
from loopback_hub import xet

REPO = "alice/big"


@pytest.fixture
def stored(server, api, monkeypatch, tmp_path):
    """A repository with one file of 3 MB that went up over xet; its bytes."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    data = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "model.safetensors").write_bytes(data)
    api.create_repo(REPO)
    api.upload_file(path_or_fileobj=str(tmp_path / "model.safetensors"), path_in_repo="model.safetensors", repo_id=REPO)
    assert server.hub.xet_files
    return data


def test_download_comes_over_xet(server, token, stored, tmp_path):
    server.hub.requests.clear()
    path = hf_hub_download(
        REPO, "model.safetensors", endpoint=server.endpoint, token=token, cache_dir=tmp_path / "cache"
    )
    with open(path, "rb") as file:  # noqa: PTH123
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(stored).digest()
    asked = server.hub.requests
    assert any("/xet-read-token/" in request for request in asked)
    assert any("/v1/reconstructions/" in request for request in asked)
    assert any(request.startswith("GET /_xorbs/") for request in asked)
    assert not any(request.startswith("GET /alice/big/resolve/") for request in asked), "the bytes came over HTTP"


def test_without_xet_it_comes_over_http(server, token, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    path = hf_hub_download(
        REPO, "model.safetensors", endpoint=server.endpoint, token=token, cache_dir=tmp_path / "cache"
    )
    with open(path, "rb") as file:  # noqa: PTH123
        assert file.read() == stored
    assert not any("reconstructions" in request for request in server.hub.requests)


def test_a_read_token_is_not_given_for_what_is_hidden(server, stored):
    api = HfApi(endpoint=server.endpoint, token="hf_other")
    server.hub.repos["model", REPO].is_private = True
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers

    url = f"{server.endpoint}/api/models/{REPO}/xet-read-token/main"
    assert get_session().get(url, headers=build_hf_headers(token=api.token)).status_code == 404


@pytest.mark.parametrize(("first", "last"), [(0, 1 << 62), (0, 0), (1_000_000, 1_000_010), (2_999_999, 1 << 62)])
def test_parts_hold_what_was_asked_for(server, stored, first, last):
    (name,) = server.hub.xet_files
    answer = xet.reconstruct(server.hub, name, first, last, "http://x")
    found = b""
    for term in answer["terms"]:
        (place,) = [one for one in answer["fetch_info"][term["hash"]] if one["range"] == term["range"]]
        span = place["url_range"]
        found += b"".join(xet.split_xorb(server.hub.xorbs[term["hash"]][span["start"] : span["end"] + 1]))
    skipped = answer["offset_into_first_range"]
    wanted = stored[first : last + 1]
    assert found[skipped : skipped + len(wanted)] == wanted
