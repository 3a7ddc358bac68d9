"""Publishing to the loopback Hub with the real clients."""

import dataclasses

import pytest

from genzoo.errors import PublishError
from genzoo.publishing.hub import attempt, check_endpoint, connect
from genzoo.publishing.publisher import publish

REPO = "alice/Tiny-LLM2Vec-Gen"


def still(_):
    """Waits for nothing."""


def run(plan, api):
    return publish(plan, api, sleep=still)


def held(hub, revision="main"):
    """What readers of the repository get, without what the Hub itself puts in."""
    if ("model", REPO) not in hub.repos:
        return {}
    return {path: data for path, data in hub.contents("model", REPO, revision).items() if path != ".gitattributes"}


def meant(plan):
    return {file.path: file.source.read_bytes() for file in plan.files}


def test_one_commit_read_back_tagged_and_only_then_public(plan, server, api, route):
    done = run(plan, api)
    repo = server.hub.repos["model", REPO]
    assert held(server.hub, done.commit) == meant(plan)
    assert len(repo.commits) == 2  # the Hub's own first one, and ours
    assert repo.commits[done.commit].parent is not None
    assert repo.tags == {"v1": done.commit}
    assert not repo.is_private
    asked = server.hub.requests
    assert [r for r in asked if "/commit/" in r and r.startswith("POST")] == [f"POST /api/models/{REPO}/commit/main"]
    assert any("/xet/" in r for r in asked) == (route == "xet")
    assert any("/_lfs/" in r for r in asked) == (route == "lfs")
    # Everything that is stored without a sha256 of its own was fetched again; the tag and the visibility come last.
    first_read = asked.index(f"POST /api/models/{REPO}/commit/main")
    assert sum("/resolve/" in r for r in asked[first_read:]) == sum(
        not f.path.endswith(".safetensors") for f in plan.files
    )
    assert asked[-2:] == [f"POST /api/models/{REPO}/tag/{done.commit}", f"PUT /api/models/{REPO}/settings"]


def test_again_changes_nothing(plan, server, api, lfs_only):
    first = run(plan, api)
    again = run(plan, api)
    assert (again.commit, again.is_new) == (first.commit, False)
    assert len(server.hub.repos["model", REPO].commits) == 2


def test_another_model_is_never_replaced_unasked(plan, server, api, lfs_only, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "old.txt").write_text("old")
    server.hub.import_folder("model", REPO, tmp_path)
    before = held(server.hub)
    with pytest.raises(PublishError, match=r"holds another model.*--overwrite"):
        run(plan, api)
    assert held(server.hub) == before
    run(dataclasses.replace(plan, overwrite=True), api)
    assert held(server.hub) == meant(plan)


def test_a_tag_is_never_moved(plan, server, api, lfs_only, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    server.hub.import_folder("model", REPO, tmp_path)
    repo = server.hub.repos["model", REPO]
    repo.tags["v1"] = repo.branches["main"]
    with pytest.raises(PublishError, match=r"points to commit .* already"):
        run(dataclasses.replace(plan, overwrite=True), api)
    assert held(server.hub) == {"README.md": b"mine"}


def test_private_stays_private(plan, server, api, lfs_only):
    run(dataclasses.replace(plan, is_private=True, tag=None), api)
    assert server.hub.repos["model", REPO].is_private
    assert server.hub.repos["model", REPO].tags == {}


def test_problems_stop_it_before_the_first_request(plan, server, api):
    with pytest.raises(PublishError, match="1 problems stand in the way: the licence"):
        run(dataclasses.replace(plan, problems=("the licence",)), api)
    assert server.hub.requests == []


def test_damage_on_the_way_is_found(plan, server, api, lfs_only, monkeypatch):
    from loopback_hub import routes

    def spoil(request, *parts):
        status, headers, data = resolve(request, *parts)
        return status, headers, data[:-1] + b"?" if request.path.endswith("modules.json") else data

    resolve = routes.resolve_file
    monkeypatch.setattr(routes, "ROUTES", tuple((p, spoil if r is resolve else r) for p, r in routes.ROUTES))
    with pytest.raises(PublishError, match=r"modules\.json in .* has sha256"):
        run(plan, api)
    assert server.hub.repos["model", REPO].is_private
    assert not server.hub.repos["model", REPO].tags


# -- who may, and where to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [("hf_nobody", "does not accept the token"), ("hf_reader", "may not write to"), ("hf_other", "may not write to")],
)
def test_wrong_token(plan, server, quick, given, told):
    with pytest.raises(PublishError, match=told) as caught:
        run(plan, connect(server.endpoint, given))
    assert given not in str(caught.value)
    assert held(server.hub) == {}


@pytest.mark.parametrize(
    "endpoint",
    ["http://huggingface.co", "http://10.0.0.1", "ftp://x", "http://127.0.0.1.evil.example", "https://u:p@h.co"],
)
def test_token_never_goes_over_an_open_line(endpoint):
    with pytest.raises(PublishError, match="HF_ENDPOINT"):
        check_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["https://huggingface.co", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"]
)
def test_safe_endpoints(endpoint):
    check_endpoint(endpoint)


def test_waits_as_long_as_the_hub_asks():
    class Slow(Exception):
        response = type("R", (), {"status_code": 429, "headers": {"Retry-After": "7"}})

    waits, calls = [], []

    def call():
        calls.append(1)
        if len(calls) < 3:
            raise Slow
        return "done"

    assert attempt(call, waits.append) == "done"
    assert waits == [7.0, 7.0]
