import dataclasses
import json

import pytest
import torch
from conftest_builders import build_checkpoint

from genzoo.errors import CheckpointError
from genzoo.models.checkpoint import TokenCheckpoint, TokenSpec


@pytest.fixture(params=[False, True], ids=["plain", "policy"])
def checkpoint(llama, request):
    return build_checkpoint(llama, n_thought=1, has_policy=request.param)


def test_round_trip_keeps_every_number(checkpoint, tmp_path):
    loaded = TokenCheckpoint.load(checkpoint.save(tmp_path / "c"))
    assert loaded.digest() == checkpoint.digest()
    assert loaded.spec == checkpoint.spec
    for name, tensor in checkpoint.tensors().items():
        assert torch.equal(tensor, loaded.tensors()[name])
    assert loaded.policy.keys() == checkpoint.policy.keys()
    assert all(torch.equal(tensor, loaded.policy[name]) for name, tensor in checkpoint.policy.items())


def test_saving_keeps_the_other_files_of_the_folder(checkpoint, tmp_path):
    """The figures of `genzoo controls --save` may go into a folder that holds more, such as an exported model."""
    folder = checkpoint.save(tmp_path / "c")
    for name in ("notes.txt", "lora.safetensors", "2_Dense/genzoo.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    dataclasses.replace(checkpoint, info={"date": "today"}).save(folder)
    assert TokenCheckpoint.load(folder).info == {"date": "today"}
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"genzoo.json", "tokens.safetensors", "notes.txt", "2_Dense/genzoo.json"}
    assert (folder / "2_Dense" / "genzoo.json").read_text() == "2_Dense/genzoo.json"


def test_digest_sees_every_number(checkpoint, llama):
    digests, has_policy = {checkpoint.digest()}, bool(checkpoint.policy)
    for name in (*checkpoint.tensors(), *checkpoint.policy):
        other = build_checkpoint(llama, n_thought=1, has_policy=has_policy)
        (other.policy[name] if name in other.policy else getattr(other, name)).view(-1)[-1] += 1e-6
        digests.add(other.digest())
    assert len(digests) == 6 + len(checkpoint.policy)


def test_truncated_safetensors_file(checkpoint, tmp_path):
    folder = checkpoint.save(tmp_path / "c")
    path = folder / "tokens.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut off or damaged"):
        TokenCheckpoint.load(folder)


@pytest.mark.parametrize("place", [8, 400, -4])
def test_changed_byte_is_noticed(checkpoint, tmp_path, place):
    folder = checkpoint.save(tmp_path / "c")
    path = folder / "tokens.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError):
        TokenCheckpoint.load(folder)


def test_missing_field_and_wrong_folder(checkpoint, tmp_path):
    folder = checkpoint.save(tmp_path / "c")
    config = json.loads((folder / "genzoo.json").read_text())
    del config["spec"]
    (folder / "genzoo.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="spec"):
        TokenCheckpoint.load(folder)
    with pytest.raises(CheckpointError, match="is not a genzoo checkpoint"):
        TokenCheckpoint.load(tmp_path)


def test_nan_and_wrong_shape_are_refused(checkpoint):
    facts = vars(checkpoint) | {"rows": checkpoint.rows.clone()}
    facts["rows"][0, 0] = float("nan")
    with pytest.raises(CheckpointError, match="rows holds NaN"):
        TokenCheckpoint(**facts)
    with pytest.raises(CheckpointError, match="align_weight has shape"):
        TokenCheckpoint(**vars(checkpoint) | {"align_weight": checkpoint.align_weight[:, :-1]})


def test_spec_must_agree_with_itself():
    with pytest.raises(CheckpointError, match="distinct"):
        TokenSpec((1, 1), ("a", "b"), 0, 2)
    with pytest.raises(CheckpointError):
        TokenSpec((1, 2), ("a", "b"), 2, 0)


def test_full_disk_leaves_nothing_behind(checkpoint, tmp_path, monkeypatch):
    from genzoo.errors import ZooError
    from genzoo.models import checkpoint as module

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    checkpoint.save(tmp_path / "c")
    before = (tmp_path / "c" / "genzoo.json").read_bytes()
    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(ZooError, match="No space left"):
        checkpoint.save(tmp_path / "c")
    assert (tmp_path / "c" / "genzoo.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_the_exit_layer_is_part_of_the_digest_and_older_files_lack_it(checkpoint, tmp_path):
    folder = checkpoint.save(tmp_path / "c")
    assert "exit_layer" not in json.loads((folder / "genzoo.json").read_text())
    assert TokenCheckpoint.load(folder).exit_layer == 0
    assert checkpoint.depth == ""
    shallow = dataclasses.replace(checkpoint, exit_layer=1)
    assert shallow.digest() != checkpoint.digest()
    assert shallow.depth == "layer 1"
    assert TokenCheckpoint.load(shallow.save(folder)).exit_layer == 1
    for given, told in ((0, "do not match the digest"), (2, "do not match the digest"), ("1", "exit_layer is '1'")):
        config = shallow.config() | {"exit_layer": given}
        with pytest.raises(CheckpointError, match=told):
            TokenCheckpoint.from_parts(config, shallow.tensors(), folder)


def test_a_single_soft_prompt_is_aligned_as_in_a_batch(checkpoint):
    soft = torch.randn(5, checkpoint.hidden_size, generator=torch.Generator().manual_seed(0))
    alone = torch.stack([checkpoint.aligned(row) for row in soft])
    assert alone.shape == (5, checkpoint.dim)
    assert torch.allclose(alone, checkpoint.aligned(soft), atol=1e-6)
