"""Publishing to the loopback Hub with the real clients."""

import dataclasses
import traceback

import pytest

from genzoo.errors import InputError, PublishError
from genzoo.hub import connect
from genzoo.publishing.publish import collection, publish

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


def test_private_is_never_public_on_the_way(plan, server, api, lfs_only, tmp_path):
    """An empty public repository is hidden before anything is sent; one that others read already is left alone."""
    server.hub.create("model", REPO)
    run(dataclasses.replace(plan, is_private=True, tag=None), api)
    hidden = next(
        place
        for place, request in enumerate(server.hub.requests)
        if request.startswith("PUT") and request.endswith("/settings")
    )
    assert hidden < next(place for place, request in enumerate(server.hub.requests) if "/commit/" in request)
    assert server.hub.repos["model", REPO].is_private
    (tmp_path / "README.md").write_text("mine")
    server.hub.create("model", REPO)
    server.hub.import_folder("model", REPO, tmp_path)
    with pytest.raises(PublishError, match="is public and holds"):
        run(dataclasses.replace(plan, is_private=True, overwrite=True), api)
    assert held(server.hub) == {"README.md": b"mine"}


def test_a_published_model_is_not_hidden_again(plan, server, api, lfs_only):
    run(plan, api)
    with pytest.raises(PublishError, match="is public and holds"):
        run(dataclasses.replace(plan, is_private=True), api)
    assert not server.hub.repos["model", REPO].is_private


def test_problems_stop_it_before_the_first_request(plan, server, api):
    with pytest.raises(PublishError, match="nothing was sent; to be solved first: the licence"):
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


# -- what an error may say -----------------------------------------------------------------------------------------


def test_a_server_that_echoes_the_token_is_not_repeated(plan, server, api, lfs_only, token, monkeypatch):
    from loopback_hub import routes
    from loopback_hub.storage import HubError

    def echo(request, *parts):
        raise HubError(400, f"bad header Authorization: {request.headers['Authorization']}")

    monkeypatch.setattr(
        routes, "ROUTES", tuple((p, echo if r is routes.commit else r) for p, r in routes.ROUTES)
    )  # fmt: skip
    with pytest.raises(PublishError, match="HTTP 400") as caught:
        run(plan, api)
    told = "".join(traceback.format_exception(caught.value))
    assert token not in told
    assert token[3:] not in told
    assert "<TOKEN>" in str(caught.value)


@pytest.mark.parametrize("where", ["redirect", "next page", "upload"])
def test_nothing_follows_the_hub_to_an_open_line(plan, server, api, lfs_only, monkeypatch, where):
    """Wherever an answer leads, only https and this machine are spoken to."""
    from loopback_hub import routes

    elsewhere = "http://evil.invalid/take"
    spoilt = {
        "redirect": (routes.whoami, lambda request: (307, {"Location": elsewhere}, b"")),
        "next page": (routes.tree, lambda request, *parts: (200, {"Link": f'<{elsewhere}>; rel="next"'}, b"[]")),
        "upload": (
            routes.lfs_batch,
            lambda request, *parts: {
                "transfer": "basic",
                "objects": [
                    {"oid": one["oid"], "size": one["size"], "actions": {"upload": {"href": elsewhere}}}
                    for one in request.json()["objects"]
                ],
            },
        ),
    }
    old, new = spoilt[where]
    monkeypatch.setattr(routes, "ROUTES", tuple((p, new if r is old else r) for p, r in routes.ROUTES))
    with pytest.raises(PublishError, match=r"http://evil\.invalid, which is neither https nor this machine"):
        run(plan, api)
    assert held(server.hub) == {}


def test_without_a_token_or_a_network_the_error_says_so(plan, server, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nonexistent/token")
    with pytest.raises(PublishError, match=r"there is no token on this machine.*hf auth login.*is as it was"):
        publish(plan, connect(server.endpoint), sleep=pytest.fail)


def test_collection_is_made_once_and_grows(server, api):
    for name in ("alice/one", "alice/two"):
        server.hub.create("model", name)
    options = {"description": "the first models"}
    url, items = collection("genzoo 0.1", ["alice/one"], api=api, **options)
    assert url.startswith(f"{server.endpoint}/collections/alice/genzoo-0-1")
    assert items == ("alice/one",)
    again, items = collection("genzoo 0.1", ["alice/one", "alice/two"], api=api, **options)
    assert (again, items) == (url, ("alice/one", "alice/two"))


def test_collection_of_what_is_not_there(server, api):
    with pytest.raises(PublishError, match=r"alice/none is not on the Hub.*Nothing was made"):
        collection("genzoo 0.1", ["alice/none"], api=api)
    with pytest.raises(InputError, match="give org/name"):
        collection("genzoo 0.1", ["none"], api=api)
    with pytest.raises(InputError, match="give org/name"):
        collection("genzoo 0.1", [], api=api)
    assert server.hub.collections == {}


def test_collection_without_the_right(server):
    server.hub.create("model", "alice/one")
    with pytest.raises(PublishError, match="may not write"):
        collection("genzoo 0.1", ["alice/one"], api=connect(server.endpoint, "hf_other"))
