"""Collections on the Hub, and the source of a ModelMeta that mteb takes as it is."""

import pytest
from mteb.models import ModelMeta

from genzoo.errors import InputError, PublishError
from genzoo.models.entries import ENTRIES
from genzoo.publishing.hub import connect
from genzoo.publishing.publish import group_models
from genzoo.tasks.model_meta import published_meta, render_source


def test_collection_is_made_once_and_grows(server, api):
    for name in ("alice/one", "alice/two"):
        server.hub.create("model", name)
    options = {"description": "the first models", "sleep": lambda _: None}
    url, items = group_models("genzoo 0.1", ["alice/one"], api, **options)
    assert url.startswith(f"{server.endpoint}/collections/alice/genzoo-0-1")
    assert items == ["alice/one"]
    again, items = group_models("genzoo 0.1", ["alice/one", "alice/two"], api, **options)
    assert (again, items) == (url, ["alice/one", "alice/two"])


def test_collection_of_what_is_not_there(server, api):
    with pytest.raises(PublishError, match=r"alice/none is not on the Hub.*Nothing was made"):
        group_models("genzoo 0.1", ["alice/none"], api, sleep=lambda _: None)
    with pytest.raises(InputError, match="give org/name"):
        group_models("genzoo 0.1", ["none"], api)
    with pytest.raises(InputError, match="give org/name"):
        group_models("genzoo 0.1", [], api)
    assert server.hub.collections == {}


def test_collection_without_the_right(server):
    server.hub.create("model", "alice/one")
    with pytest.raises(PublishError, match="may not write"):
        group_models("genzoo 0.1", ["alice/one"], connect(server.endpoint, "hf_other"), sleep=lambda _: None)


@pytest.fixture(params=ENTRIES.names())
def meta(request):
    from genzoo.backbones.entries import fetch_backbone
    from genzoo.errors import BackboneError

    try:
        fetch_backbone(ENTRIES.get(request.param).backbone)
    except BackboneError as error:
        pytest.skip(f"the backbone cannot be fetched here: {error}")
    return published_meta(request.param, "acme/Model-LLM2Vec-Gen", "c" * 40)


def test_the_pasted_source_is_the_meta(meta):
    space = {}
    exec(compile(render_source(meta), "pasted", "exec"), space)  # noqa: S102 - that it runs is the promise
    (pasted,) = [value for value in space.values() if isinstance(value, ModelMeta)]
    assert pasted.model_dump(exclude={"loader"}) == meta.model_dump(exclude={"loader"})
    assert pasted.loader is meta.loader
    assert (pasted.name, pasted.revision) == ("acme/Model-LLM2Vec-Gen", "c" * 40)
    assert pasted.training_datasets
    assert "genzoo" not in str(pasted.loader.__module__)


def test_wrong_names():
    with pytest.raises(InputError, match="40 hex digits"):
        published_meta("smollm2-135m", "acme/x", "main")
    with pytest.raises(InputError, match="write org/name"):
        published_meta("smollm2-135m", "x")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("acme/7b-embed.v1", "model_7b_embed_v1"),
        ("acme/Class", "model_class"),
        ("acme/Model", "model"),
        ("a/--", "model_"),
    ],
)
def test_the_variable_of_the_pasted_source_is_one(name, variable):
    meta = ModelMeta.create_empty({"name": name, "revision": "c" * 40})
    assert f"\n{variable} = " in render_source(meta)
    compile(render_source(meta), "pasted", "exec")
