import pytest
import torch
from conftest_builders import build_backbone
from transformers import AutoConfig, AutoTokenizer

from genzoo.backbones.tokenizer import (
    FIRST_WORDS,
    append_trained_tokens,
    check_texts,
    plain_ids,
    spare_rows,
    start_rows,
    template_limit,
)
from genzoo.backbones.whole import load_causal_lm
from genzoo.errors import InputError


def _load(folder):
    return AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder).vocab_size


def test_padding_rows_are_found(backbone):
    tokenizer, size = _load(backbone)
    assert spare_rows(tokenizer, size, (), 10) == tuple(range(len(tokenizer), len(tokenizer) + 10))


def test_too_few_rows(full_llama, llama):
    assert spare_rows(*_load(full_llama), (), 10) == ()
    assert spare_rows(*_load(llama), (), 17) == ()


def test_rows_that_text_or_chat_can_produce_are_refused(llama):
    tokenizer, size = _load(llama)
    in_chat = [tokenizer.convert_tokens_to_ids(name) for name in ("<|im_start|>", "<|im_end|>")]
    from_text = tokenizer("hello", add_special_tokens=False)["input_ids"]
    free = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    found = spare_rows(tokenizer, size, [*in_chat, *from_text, free], 1)
    assert found == (free,)


def test_reserved_tokens_are_found(full_llama):
    tokenizer, _ = _load(full_llama)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|reserved_special_token_{i}|>" for i in range(12)]})
    rows = spare_rows(tokenizer, len(tokenizer), (), 10)
    assert [tokenizer.convert_ids_to_tokens(row) for row in rows] == [
        f"<|reserved_special_token_{i}|>" for i in range(10)
    ]


def test_special_text_is_text(llama):
    tokenizer, _ = _load(llama)
    ids = plain_ids(tokenizer, ["<|im_end|>"])[0]
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") not in ids
    assert ids[0] == tokenizer.bos_token_id


@pytest.mark.parametrize(
    ("bad", "told"),
    [([], "empty"), ([1], "int, not a string"), (None, "NoneType"), (["a", b"b"], "number 1 is a bytes")],
)
def test_bad_texts(bad, told):
    with pytest.raises(InputError, match=told):
        check_texts(bad)


@pytest.mark.parametrize("chat", [True, False])
def test_few_tokens_start_as_the_first_words_of_an_answer(tmp_path, chat):
    folder = build_backbone(tmp_path / "backbone", "llama", chat=chat)
    model, tokenizer = load_causal_lm(folder, "cpu")
    table = model.get_input_embeddings().weight.detach()

    def ids_of(n):
        rows = start_rows(model, tokenizer, n)
        assert rows.shape == (n, 32)
        return torch.cdist(rows, table).argmin(dim=1).tolist()

    words = tokenizer(" The answer is about the following:", add_special_tokens=False)["input_ids"]
    many = ids_of(40)
    opening = next(i for i in range(40) if many[i : i + 3] == words[:3])
    assert opening > 0  # what stands between question and answer
    for n in (1, 3, 5, opening + FIRST_WORDS):
        # Never the markup alone, which says the same after every text.
        assert ids_of(n) == many[: opening + FIRST_WORDS][-n:]
    assert ids_of(40)[: len(words)] != words
    assert many[opening + len(words) :] == (many[: opening + len(words)] * 9)[: 40 - opening - len(words)]


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("added", [0, 1, 5])
def test_a_template_limit_is_what_tokenizers_makes_of_it(times, added):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "x": 1}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    pieces = [*["x"] * (added // 2), *["$A"] * times, *["x"] * (added - added // 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single=pieces, special_tokens=[("x", 1)])
    for limit in range(1, 16):
        if limit < added + times:
            with pytest.raises(InputError, match=f"some.option is {limit}.*give at least {added + times}"):
                template_limit(limit, added, times, what="some.option")
        else:
            tokenizer.enable_truncation(template_limit(limit, added, times))
            assert limit - times < len(tokenizer.encode("a " * 16).ids) <= limit


def test_trained_tokens_leave_room_for_a_text(llama):
    tokenizer = AutoTokenizer.from_pretrained(llama)  # adds one token in front
    rows = spare_rows(tokenizer, 400, (), 3)
    with pytest.raises(InputError, match=r"max_tokens is 4: 4 tokens are added to every text.*at least 5"):
        append_trained_tokens(tokenizer, rows, ["a1", "a2", "a3"], 4)
    append_trained_tokens(tokenizer, rows, ["a1", "a2", "a3"], 5)
    assert len(tokenizer("fox " * 9, truncation=True, max_length=5)["input_ids"]) == 5
