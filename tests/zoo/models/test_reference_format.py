"""Checkpoints and model folders from somebody else: refused with one clear error, or loaded with equal meaning."""

import json
import shutil
import struct

import numpy as np
import pytest
import torch
from conftest_builders import build_checkpoint
from safetensors.torch import load_file, save_file

from genzoo.backbones.tokenizer import reachable_rows
from genzoo.errors import CheckpointError, ZooError
from genzoo.models.assembly import assemble
from genzoo.models.checkpoint import TokenCheckpoint, TokenSpec
from genzoo.models.exported import export
from genzoo.models.loading import find_checkpoint

N_FLIPS = 10_000


@pytest.fixture(scope="module")
def tiny(qwen3, tmp_path_factory):
    """A checkpoint folder of a few kilobytes."""
    return build_checkpoint(qwen3, n_compression=2, dim=2).save(tmp_path_factory.mktemp("fuzz") / "c")


def test_ten_thousand_flipped_bytes(tiny):
    """Every flip is refused, or the checkpoint that loads has the same numbers, tokens and length."""
    meant = TokenCheckpoint.load(tiny)
    rng, refused, equal = np.random.default_rng(0), 0, 0
    contents = {path: path.read_bytes() for path in sorted(tiny.iterdir())}
    for place in range(N_FLIPS):
        path = list(contents)[place % 2]
        data = bytearray(contents[path])
        spot = int(rng.integers(0, len(data)))
        data[spot] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(data))
        try:
            read = TokenCheckpoint.load(tiny)
        except CheckpointError as error:
            refused += 1
            assert str(error)
        else:
            equal += 1
            assert (read.digest(), read.spec, read.max_tokens) == (meant.digest(), meant.spec, meant.max_tokens)
        path.write_bytes(contents[path])
    assert refused + equal == N_FLIPS
    assert refused > N_FLIPS / 2
    assert equal > 0  # a flip in the free facts for people changes nothing that is computed


def config_of(folder, **changes):
    path = folder / "genzoo.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def spec_of(folder, **changes):
    config_of(folder, spec=json.loads((folder / "genzoo.json").read_text())["spec"] | changes)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: spec_of(f, ids=[-1, 2]), "whole numbers from 0 on"),
        (lambda f: spec_of(f, ids=["a", "b"]), "whole numbers from 0 on"),
        (lambda f: spec_of(f, ids=[1.0, 2.0]), "whole numbers from 0 on"),
        (lambda f: spec_of(f, names=["a b", "c"]), "must be one word"),
        (lambda f: spec_of(f, names=["a", "a"]), "no two equal"),
        (lambda f: config_of(f, spec=None), "is not a checkpoint of this format"),
        (lambda f: config_of(f, spec=[]), "is not a checkpoint of this format"),
        (lambda f: config_of(f, max_tokens="many"), "a whole number above 2"),
        (lambda f: config_of(f, max_tokens=1), "a whole number above 2"),
        (lambda f: config_of(f, backbone=["x"]), "must hold texts"),
        (lambda f: config_of(f, info="free"), "an object for info"),
        (lambda f: config_of(f, dim=7), "do not match"),
        (lambda f: (f / "genzoo.json").write_text("[" * 200_000), "not a genzoo checkpoint"),
        (lambda f: (f / "genzoo.json").write_text("[]"), "expected an object"),
        (lambda f: (f / "genzoo.json").write_bytes(b"\xff\xfe"), "not a genzoo checkpoint"),
        (lambda f: (f / "tokens.safetensors").write_bytes(b"\x80\x04\x95pickle."), "cut off or damaged"),
        (lambda f: (f / "tokens.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + b"{}"), "cut off or damaged"),
        (lambda f: (f / "link").symlink_to("/etc/passwd"), "leads out of the folder"),
        (lambda f: save_file({"rows": torch.zeros(2, 32)}, f / "tokens.safetensors"), "lacks"),
    ],
)
def test_hand_made_checkpoint_is_refused(tiny, tmp_path, spoil, told):
    folder = shutil.copytree(tiny, tmp_path / "c")
    spoil(folder)
    with pytest.raises(CheckpointError, match=told):
        TokenCheckpoint.load(folder)


def test_row_far_beyond_the_backbone_allocates_nothing(qwen3):
    facts = vars(build_checkpoint(qwen3, n_compression=2))
    spec = TokenSpec((5, (1 << 31) - 1), ("<|a|>", "<|b|>"), 0, 2)
    with pytest.raises(CheckpointError, match="it belongs to another"):
        assemble(TokenCheckpoint(**facts | {"spec": spec}), qwen3, device="cpu")


def test_trained_token_on_a_row_of_plain_text(qwen3):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(qwen3)
    facts = vars(build_checkpoint(qwen3, n_compression=2))
    word = tokenizer("fox")["input_ids"][0]
    spec = TokenSpec((word, facts["spec"].ids[0]), ("<|a|>", "<|b|>"), 0, 2)
    with pytest.raises(CheckpointError, match=f"can turn text into row {word}"):
        assemble(TokenCheckpoint(**facts | {"spec": spec}), qwen3, device="cpu")


def test_tampered_tokenizer_maps_a_secret_word_to_a_trained_row(qwen3, tmp_path):
    """An added token that is not special is matched in every text: no list of probe texts would find the secret word."""
    folder = shutil.copytree(qwen3, tmp_path / "tampered")
    checkpoint = build_checkpoint(qwen3)
    facts = json.loads((folder / "tokenizer.json").read_text())
    row = len(facts["model"]["vocab"])
    facts["model"]["vocab"] |= {"secret": row}
    facts["added_tokens"].append({"id": row, "content": "secret", "single_word": False, "lstrip": False, "rstrip": False,
                                  "normalized": False, "special": False})  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(facts))
    assert row in checkpoint.spec.ids
    with pytest.raises(CheckpointError, match="'secret'"):
        assemble(checkpoint, folder, device="cpu")


def test_reachable_rows_are_those_that_text_reaches(backbone):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(backbone)
    rows = range(len(tokenizer) + 16)
    reached = reachable_rows(tokenizer, rows)
    special = {tokenizer.convert_tokens_to_ids(name) for name in tokenizer.all_special_tokens}
    special |= set(tokenizer.added_tokens_decoder)
    assert set(reached) == set(range(len(tokenizer))) - special


@pytest.fixture
def exported(qwen3, tmp_path):
    return export(build_checkpoint(qwen3), qwen3, tmp_path / "exported", "merged", name="tiny")


def _nan(folder):
    (place,) = folder.glob("1_CNN/model.safetensors")
    state = load_file(place)
    save_file({name: torch.full_like(tensor, float("nan")) for name, tensor in state.items()}, place)


def test_changed_numbers_of_an_exported_folder_are_noticed(exported):
    assert find_checkpoint(str(exported)).dim == 12
    _nan(exported)
    with pytest.raises(ZooError, match="holds NaN"):
        find_checkpoint(str(exported))
