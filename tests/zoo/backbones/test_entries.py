import pytest

from genzoo.backbones.entries import BACKBONES, backbone_digest, fetch_backbone
from genzoo.errors import BackboneError, UnknownNameError
from genzoo.names import is_commit


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    return tmp_path / "cache"


def test_every_row_is_complete():
    for row in BACKBONES:
        assert row.sources
        assert row.revision is None or is_commit(row.revision)
        assert row.page == f"https://huggingface.co/{row.hub_id}"
        assert row.n_layers
        # Whatever the layers hold, the embedding matrix is in the sum.
        assert row.n_parameters > row.vocab_size * row.hidden_size
        assert row.licence
        assert row.key == row.key.lower()


def test_names_that_cannot_be_had(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean smollm2-135m"):
        fetch_backbone("smolm2")
    with pytest.raises(BackboneError, match="there is no folder"):
        fetch_backbone("./name")
    with pytest.raises(BackboneError, match="is not a backbone folder"):
        fetch_backbone(str(tmp_path))


def test_digest_is_of_the_weights(llama, qwen3):
    assert backbone_digest(llama) != backbone_digest(qwen3)
    assert len(backbone_digest(llama)) == 40


def test_gated_backbone_names_its_licence_and_the_login(empty_cache, monkeypatch):
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    for kind in (GatedRepoError, RepositoryNotFoundError):
        error = kind.__new__(kind)  # without the HTTP response that a real one carries
        Exception.__init__(error, "no entry")
        monkeypatch.setattr(
            "huggingface_hub.snapshot_download", lambda *a, _error=error, **k: (_ for _ in ()).throw(_error)
        )
        with pytest.raises(BackboneError) as told:
            fetch_backbone("llama-3.2-1b")
        assert "https://huggingface.co/meta-llama/Llama-3.2-1B-Instruct" in str(told.value)
        assert "`hf auth login`" in str(told.value)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: (_ for _ in ()).throw(OSError("no route")))
    with pytest.raises(
        BackboneError, match=r"no route.*licence must be accepted first: https://huggingface.co/meta-llama"
    ):
        fetch_backbone("llama-3.2-1b")
    with pytest.raises(BackboneError, match="no route") as told:
        fetch_backbone("qwen3-0.6b")
    assert "licence" not in str(told.value)
