"""The verbs of publishing from Python, against the loopback Hub."""

import secrets

import pytest
from conftest_builders import build_checkpoint
from huggingface_hub import constants
from loopback_hub import Hub, serve

import genzoo
from genzoo.errors import InputError, PublishError
from genzoo.hub import connect
from genzoo.publishing.publish import Published

FACTS = {"merge": True, "licence": "apache-2.0", "training_data": "ours", "base_model": "alice/tiny-backbone"}


@pytest.fixture(scope="module")
def checkpoint(llama, tmp_path_factory):
    return build_checkpoint(llama).save(tmp_path_factory.mktemp("publishing") / "tiny")


@pytest.fixture
def hub(monkeypatch):
    """A Hub of this test's own."""
    token = "hf_" + secrets.token_hex(20)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serve(Hub({token: ("alice", [], "write")})) as server:
        for module in ("hub", "publishing.publish"):
            monkeypatch.setattr(f"genzoo.{module}.connect", lambda: connect(server.endpoint, token))
        yield server


def test_a_plan_is_returned_and_nothing_is_sent(hub, checkpoint, tmp_path):
    seen = []
    plan = genzoo.publish(
        checkpoint, "alice/tiny", dry_run=True, card=tmp_path / "card.md", review=seen.append, **FACTS
    )
    assert seen == [plan]
    assert "README.md" in list(plan.files.to_frame()["file"])
    assert set(plan.files.to_frame().columns) == {"file", "bytes", "sha256"}
    assert "README.md" in plan._repr_html_()
    assert (tmp_path / "card.md").read_text().startswith("---")


def test_problems_are_listed_in_a_plan_and_stop_a_publication(hub, checkpoint):
    facts = FACTS | {"training_data": ""}
    plan = genzoo.publish(checkpoint, "alice/tiny", dry_run=True, **facts)
    assert any("--training-data" in problem for problem in plan.problems)
    with pytest.raises(PublishError, match=r"nothing was sent; .*--training-data"):
        genzoo.publish(checkpoint, "alice/tiny", **facts)


def test_published_then_verified_and_loaded(hub, checkpoint, tmp_path):
    done = genzoo.publish(checkpoint, "alice/tiny", tag="v1", **FACTS)
    assert isinstance(done, Published)
    assert (done.is_new, done.tag) == (True, "v1")
    assert genzoo.publish(checkpoint, "alice/tiny", tag="v1", **FACTS).is_new is False
    made = genzoo.collection("tiny models", ["alice/tiny"])
    assert made.models == ("alice/tiny",)


def test_what_review_raises_stops_the_publication(hub, checkpoint):
    def review(plan):
        raise PublishError("not today")

    with pytest.raises(PublishError, match="not today"):
        genzoo.publish(checkpoint, "alice/never", review=review, **FACTS)
    with pytest.raises(PublishError, match="not on the Hub"):
        genzoo.collection("tiny models", ["alice/never"])


def test_a_bundle_goes_there_and_back(tmp_path, llama, checkpoint):
    with pytest.raises(InputError, match="nothing to pack"):
        genzoo.bundle([], tmp_path / "bundle")
    with pytest.raises(InputError, match="has no full revision"):
        genzoo.bundle("alice/tiny", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
