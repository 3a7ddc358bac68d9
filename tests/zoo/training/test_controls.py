"""The held-out figures, each computed another way."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from conftest_builders import SENTENCES, build_checkpoint
from transformers import AutoModelForCausalLM, AutoTokenizer

from genzoo.backbones.generation import Response
from genzoo.intervals import share_interval
from genzoo.models.assembly import assemble
from genzoo.models.decoding import Decoder
from genzoo.teachers.targets import embed
from genzoo.training.controls import (
    DECODED_TOKENS,
    Controls,
    _alike,
    _gap_interval,
    _nearness,
    _others_place,
    _refusals,
    measure_controls,
    nearest_to_own,
)
from genzoo.training.losses import response_loss, response_sums

ROWS = [Response(str(i), f"{text} {i}", f"{text[::-1]} {i}", "stop", 9) for i, text in enumerate(SENTENCES[:8])]


def test_nearest_to_own_counts_what_is_nearest():
    torch.manual_seed(0)
    wanted = torch.randn(300, 8)
    assert all(nearest_to_own(wanted * 3, wanted, 10, 0))
    assert not any(nearest_to_own(-wanted, wanted, 10, 0))
    # What says nothing about its query is nearest to its own once in eleven.
    blind = nearest_to_own(torch.randn(300, 8), wanted, 10, 0)
    low, high = share_interval(sum(blind), 300)[1:]
    assert low < 1 / 11 < high
    # A tie is no hit: the same text for every query cannot win.
    assert not any(nearest_to_own(torch.ones(4, 3), torch.ones(4, 3), 3, 0))
    assert nearest_to_own(wanted + wanted.roll(1, 0), wanted, 10, 1) != nearest_to_own(
        wanted + wanted.roll(1, 0), wanted, 10, 2
    )


def test_queries_that_share_a_refusal_are_no_others_to_each_other():
    said = ["no", "a", "no", "b", "no", "c"]
    alike = _alike(said)
    assert alike.sum(dim=1).tolist() == [3, 1, 3, 1, 3, 1]
    # the shuffled control takes the nearest text before it that is another one
    assert [said[place] for place in _others_place(alike)] == ["c", "no", "a", "no", "b", "no"]
    assert _others_place(_alike(["x", "y", "z"])) == [2, 0, 1]
    assert _others_place(_alike(["x", "x", "x"])) == [2, 0, 1]
    wanted = torch.eye(4)[[0, 1, 0, 2, 0, 3]]
    assert nearest_to_own(wanted, wanted, 3, 0, alike) == [True] * 6
    assert sum(nearest_to_own(wanted, wanted, 5, 0)) == 3  # among all, the three refusals tie
    own, other, top1 = _nearness(wanted, wanted, alike)
    assert (own, other, top1) == (1, 0, 1)
    # refusals differ in what they name, and say the same
    named = ["no, not that", "a", "no, not bombs", "no", "b"]
    assert _alike(named, "no, not").sum(dim=1).tolist() == [2, 1, 2, 1, 1]
    assert _alike(named).sum(dim=1).tolist() == [1] * 5


def test_refusals_are_counted_where_the_recipe_has_a_policy(backbone):
    policy = {"examples": "default", "opening": "I'm sorry, but I can't help with"}
    taught = replace(build_checkpoint(backbone), info={"recipe": {"policy": policy}})
    responses = [
        f"{policy['opening']} that.",
        f"{policy['opening']} theft.",
        "Polar bears hunt.",
        "I'm sorry to hear that.",
    ]
    decoded = [" I'm sorry, I will not.", "Banks open at nine.", "I'm sorry, but no.", "That is sad."]
    assert _refusals(taught, responses, decoded) == (2, 1, 1)
    assert _refusals(build_checkpoint(backbone), responses, decoded) == ()
    found = Controls(
        4, 1.0, 2.0, None, None, None, 0.5, 1.5, None, None, None, 3, 0, *_refusals(taught, responses, decoded)
    )
    assert ("decoded to a refusal", "1 of 2 refused queries, 1 of the 2 others") in found.rows()
    assert "decoded to a refusal" not in dict(replace(found, refused=0).rows())


def test_controls_take_responses_that_are_all_the_same(judged):
    model, tokenizer, checkpoint, _, judge, targets = judged
    rows = [replace(row, response=ROWS[0].response) for row in ROWS]
    found = measure_controls(checkpoint, model, tokenizer, rows, targets, 3, judge=judge)
    assert (found.decoded, found.others) == (None, 0)  # there is nothing to compare with


def test_a_share_at_the_edge_has_an_interval():
    """All 40 of 40 leaves room for a true share of 91.2 %, and none of 40 for one of 8.8 %."""
    made = Controls(40, 1.0, 2.0, 0.9, 0.1, 1.0, 0.9, 1.1, 0.0, *share_interval(0, 40)[1:], 10, 0)
    rows = dict(made.rows())
    assert rows["embedding nearest to own"] == "100.0% [91.2%, 100.0%] among all 40 responses"
    assert rows["decoded nearest to own"] == "0.0% [0.0%, 8.8%] against 10 others"


def test_the_interval_of_the_gap_covers_it_on_few_queries():
    """Eight held-out queries: a plain percentile interval of them covers the true gap nine times in ten only."""
    generator, hits, trials = torch.Generator().manual_seed(3), 0, 400
    for seed in range(trials):
        drawn = torch.randn(8, generator=generator, dtype=torch.float64) + 2
        low, high = _gap_interval(drawn * 30, torch.full((8,), 30), seed)
        hits += low <= 2 <= high
    assert hits / trials >= 0.92


def test_sums_are_what_the_loss_is_the_mean_of(backbone):
    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32).eval().requires_grad_(False)
    soft, responses = torch.randn(3, 4, 32) * 0.2, [[30, 31, 32, 2], [40], [50, 51]]
    sums = response_sums(model, soft, responses)
    assert sums.shape == (3,)
    assert float(sums.sum() / 7) == pytest.approx(float(response_loss(model, soft, responses)), abs=1e-5)
    assert float(sums[1]) == pytest.approx(float(response_loss(model, soft[1:2], responses[1:2])), abs=1e-5)


@pytest.fixture(scope="module")
def judged(llama, tiny_teacher):
    """Model, tokenizer, checkpoint, teacher, judge, and the teacher's embeddings of the responses."""
    from sentence_transformers import SentenceTransformer

    model = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    tokenizer, checkpoint = AutoTokenizer.from_pretrained(llama), build_checkpoint(llama)
    teacher = SentenceTransformer(str(tiny_teacher), device="cpu")
    judge = partial(embed, teacher)
    targets = {row.response: target for row, target in zip(ROWS, judge([r.response for r in ROWS]), strict=True)}
    return model, tokenizer, checkpoint, teacher, judge, targets


def test_decoded_texts_are_judged_by_the_teacher(judged):
    model, tokenizer, checkpoint, teacher, judge, targets = judged
    found = measure_controls(checkpoint, model, tokenizer, ROWS, targets, 3, judge=judge, seed=4)
    # Read one by one, with the decoder that a user has; all seven others are compared with, so that no draw matters.
    decoder = Decoder(checkpoint, model, tokenizer)
    texts = [decoder.read(row.query, max_new_tokens=DECODED_TOKENS)[0].decoded for row in ROWS]
    cosines = teacher.similarity(teacher.encode(texts), teacher.encode([row.response for row in ROWS]))
    hits = [bool(row[i] > row[torch.arange(8) != i].max()) for i, row in enumerate(cosines)]
    assert (found.others, found.n, found.seed) == (7, 8, 4)
    assert found.decoded == sum(hits) / 8
    assert found.decoded_low < found.decoded < found.decoded_high or found.decoded in (0, 1)
    assert found.gap_low <= found.recon_gap <= found.gap_high
    assert found.gap_low < found.gap_high
    again = measure_controls(checkpoint, model, tokenizer, ROWS, targets, 8, judge=judge, seed=4)
    assert again.recon_gap == pytest.approx(found.recon_gap, abs=1e-5)
    assert again.decoded == found.decoded
    unjudged = measure_controls(checkpoint, model, tokenizer, ROWS, {}, 3)
    assert (unjudged.decoded, unjudged.top1) == (None, None)
    assert replace(found, **dict.fromkeys(("decoded", "top1"))).rows()[-1][0] == "gap"


def test_an_embedding_of_another_width_is_judged_by_its_decoded_texts_alone(judged):
    model, tokenizer, checkpoint, _, judge, targets = judged
    wide = replace(
        checkpoint,
        align_weight=torch.cat([checkpoint.align_weight, checkpoint.align_weight]),
        align_bias=torch.cat([checkpoint.align_bias, checkpoint.align_bias]),
    )
    same = measure_controls(checkpoint, model, tokenizer, ROWS, targets, 3, judge=judge)
    found = measure_controls(wide, model, tokenizer, ROWS, targets, 3, judge=judge)
    assert same.cosine_own is not None
    assert (found.cosine_own, found.cosine_other, found.top1) == (None, None, None)
    assert (found.decoded, found.recon_gap) == (same.decoded, same.recon_gap)
    assert [label for label, _ in found.rows()][-1] == "decoded nearest to own"


def test_a_readable_embedding_passes_and_a_blind_one_fails(llama):
    """A judge that reads words: soft prompts that say the response pass, those of another query fail."""
    vocabulary: dict[str, int] = {}

    def judge(texts):
        made = torch.zeros(len(texts), 64)
        for place, text in enumerate(texts):
            for word in text.split():
                made[place, vocabulary.setdefault(word, len(vocabulary)) % 64] += 1
        return made + 1e-6

    said = [f"apple{i} pear{i} plum{i}" for i in range(16)]
    wanted = judge(said)
    assert all(nearest_to_own(judge([f"well {text}" for text in said]), wanted, 10, 0))
    assert not any(nearest_to_own(judge([f"well {text}" for text in said[1:] + said[:1]]), wanted, 15, 0))


def test_controls_equal_the_assembled_model(backbone):
    """The figures are those of the assembled model, computed another way."""
    from conftest_builders import build_checkpoint

    from genzoo.training.controls import measure_controls

    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    checkpoint = build_checkpoint(backbone, n_thought=1)
    rows = [Response(str(i), text, text, "stop", 9) for i, text in enumerate(SENTENCES[:4])]
    assembled = assemble(checkpoint, backbone, device="cpu")
    mine = torch.from_numpy(assembled.encode_query([row.query for row in rows]))
    found = measure_controls(
        checkpoint, model, tokenizer, rows, {r.response: v for r, v in zip(rows, mine, strict=True)}
    )
    assert found.n == 4
    assert found.top1 == 1.0
    assert found.cosine_own == pytest.approx(1.0, abs=1e-5)
    assert found.cosine_other < 1.0
    ids = [tokenizer(row.response, add_special_tokens=False)["input_ids"] for row in rows]
    features = dict(assembled.preprocess(["Write the answer to this: " + r.query for r in rows]))
    states = assembled[1](assembled[0]({k: v for k, v in features.items() if isinstance(v, torch.Tensor)}))[
        "token_embeddings"
    ]
    ends = features["attention_mask"].sum(dim=1)
    soft = torch.stack([states[i, end - checkpoint.spec.n_compression : end] for i, end in enumerate(ends.tolist())])
    with torch.no_grad():
        assert found.recon_own == pytest.approx(float(response_loss(model, soft, ids)), abs=1e-4)
        assert found.recon_shuffled == pytest.approx(float(response_loss(model, soft.roll(1, 0), ids)), abs=1e-4)
