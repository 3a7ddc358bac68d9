"""Each fault, caused on purpose in a stock client, is named; the right set-up is not accused of any."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from changed_models import pooled, without
from conftest_builders import build_checkpoint
from embedding_server import Reply

import genzoo
from genzoo.errors import InputError, ZooError

REPLACED = "line-breaks-replaced"


def codes(found, severity="fault"):
    return {row.code for row in found.deviations if row.severity == severity}


def broken(texts):
    return [text.replace("\n", " ") for text in texts]


def shortened(stock, limit):
    stock.max_seq_length = limit
    return stock


def quantized(stock):
    def rounded(vectors):
        return np.round(127 * vectors / np.abs(vectors).max(axis=1, keepdims=True)).astype(np.int8)

    return tuple(lambda texts, embed=embed: rounded(embed(texts)) for embed in sides(stock))


def sides(stock):
    return stock.encode_query, stock.encode_document


FAULTS = {
    "bare encode": (lambda stock: stock.encode, {"prompt-lost"}),
    "document prompt on both": (lambda stock: lambda texts: stock.encode(texts, prompt_name="document"), {"other-prompt"}),
    "no blank": (
        lambda stock: (stock.encode_query, lambda texts: stock.encode(texts, prompt=stock.prompts["document"].rstrip())),
        {"prompt-blank-lost"},
    ),
    "as in LangChain": (lambda stock: lambda texts: stock.encode(broken(texts)), {"prompt-lost", REPLACED}),
    "documents as one line": (
        lambda stock: (stock.encode_query, lambda texts: stock.encode_document(broken(texts))),
        {REPLACED},
    ),
    "no WordWeights": (lambda stock: without(stock, "WordWeights"), {"pooling-all-tokens"}),
    "no WordWeights, bare": (
        lambda stock: without(stock, "WordWeights").encode,
        {"pooling-all-tokens", "prompt-lost"},
    ),
    "last token": (lambda stock: pooled(stock, "lasttoken"), {"pooling-last-token"}),
    "first token": (lambda stock: pooled(stock, "cls"), {"pooling-first-token"}),
    "no projections": (lambda stock: without(stock, "Dense", "CNN"), {"projections-skipped"}),
    "truncate_dim": (
        lambda stock: tuple(lambda texts, embed=embed: embed(texts, truncate_dim=8) for embed in sides(stock)),
        {"truncated"},
    ),
    "cut at 64": (lambda stock: shortened(stock, 64), {"cut-short"}),
    "never cut": (lambda stock: shortened(stock, 1000), {"cut-late"}),
    "int8": (quantized, {"rounded"}),
    "alone and in a batch": (
        lambda stock: tuple(lambda texts, embed=embed: embed(texts) * (1 if len(texts) > 1 else -1) for embed in sides(stock)),
        None,
    ),
    "NaN": (lambda stock: lambda texts: np.full((len(texts), 12), np.nan), {"not-finite"}),
    "another width": (lambda stock: lambda texts: np.random.default_rng(0).random((len(texts), 77)), {"another-model"}),
    "noise": (lambda stock: lambda texts: np.random.default_rng(0).standard_normal((len(texts), 12)), None),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name, stock, model):
    client, expected = FAULTS[name]
    found = genzoo.doctor(client(stock), model)
    assert (found.verdict, found.exit_code) == ("wrong", 1)
    if expected is not None:
        assert codes(found) == expected, found.deviations
    elif name == "noise":
        assert codes(found) & {"another-model", "another-revision"}
    else:
        assert "batch" in codes(found)
    assert ("not all numbers are finite" in found.summary) == (name == "NaN")
    assert ("the vectors have another width" in found.summary) == (name in ("another width", "no projections"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_right_set_up_is_right(exported, model, dtype):
    from sentence_transformers import SentenceTransformer

    found = genzoo.doctor(SentenceTransformer(exported, device="cpu", model_kwargs={"dtype": dtype}), model)
    assert (found.verdict, found.exit_code, codes(found)) == ("right", 0, set())
    assert ("bfloat16" in codes(found, "fact")) == (dtype == "bfloat16")
    assert all(row.cosine_to_right > 0.995 for row in found.compared)


def test_a_model_with_a_policy_is_right_and_its_faults_are_named(llama, tmp_path):
    from sentence_transformers import SentenceTransformer

    made = replace(build_checkpoint(llama, has_policy=True), max_tokens=256)
    folder = str(made.save(tmp_path / "model"))
    exported = str(genzoo.export(folder, tmp_path / "exported", merge=True))
    for dtype in ("float32", "bfloat16", "float16"):
        found = genzoo.doctor(SentenceTransformer(exported, device="cpu", model_kwargs={"dtype": dtype}), folder)
        assert (found.verdict, codes(found)) == ("right", set()), dtype
    stock = SentenceTransformer(exported, device="cpu")
    assert codes(genzoo.doctor(stock.encode, folder)) == {"prompt-lost"}
    assert "the vectors have another width" in genzoo.doctor(without(stock, "Dense"), folder).summary


def test_folders_are_right_against_each_other(exported, model):
    assert genzoo.doctor(exported, model).verdict == "right"
    assert genzoo.doctor(model, exported).verdict == "right"


def test_unit_length_is_right_and_other_lengths_are_a_caution(stock, model):
    def scaled(length):
        def embed(vectors):
            return length * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

        return tuple(lambda texts, own=own: embed(own(texts)) for own in sides(stock))

    assert codes(genzoo.doctor(scaled(1), model), "caution") == set()
    found = genzoo.doctor(scaled(3), model)
    assert codes(found, "caution") == {"not-normalised"}
    assert found.exit_code == 0


def test_a_server_that_embeds_what_it_gets_is_right(server, stock, model):
    server.encode = stock.encode
    found = genzoo.doctor(server.name, model)
    assert (found.exit_code, codes(found)) == (0, set())
    (fact,) = [row for row in found.deviations if row.code == "prompts-by-caller"]
    assert "'Write the answer to this: ' before a query" in fact.text


@pytest.mark.parametrize(
    ("encode", "expected"),
    [
        (lambda stock, texts: stock.encode(texts, prompt_name="document"), {"prompt-twice", "other-prompt-added"}),
        (lambda stock, texts: stock.encode(broken(texts)), {REPLACED}),
        (lambda stock, texts: stock.encode(texts)[:, :8], {"truncated"}),
        (lambda stock, texts: without(stock, "WordWeights").encode(texts), {"pooling-all-tokens"}),
    ],
)
def test_the_faults_of_a_server(server, stock, model, encode, expected):
    server.encode = lambda texts: encode(stock, texts)
    assert codes(genzoo.doctor(server.name, model)) == expected


def test_a_server_that_refuses_long_texts(server, stock, model):
    server.encode = stock.encode
    refusal = Reply(400, {"error": {"message": "maximum context length is 256"}})
    server.faults = lambda texts: refusal if max(map(len, texts)) > 2000 else None
    found = genzoo.doctor(server.name, model)
    assert found.exit_code == 0
    assert "maximum context length" in next(row.text for row in found.deviations if row.code == "long-text-refused")


def test_what_cannot_be_asked(server, model):
    with pytest.raises(ZooError, match="no server answers there"):
        genzoo.doctor("http://127.0.0.1:1/v1#model", model)
    with pytest.raises(InputError, match="there is no folder nowhere/else"):
        genzoo.doctor("nowhere/else", model)
    with pytest.raises(ZooError, match="unknown model"):
        genzoo.doctor(server.name, "no-such-model")


def vectors(folder, stock, texts, **options):
    folder.mkdir(exist_ok=True)
    np.savez(folder / "documents.npz", texts=np.array(texts), embeddings=stock.encode(texts, **options))
    return f"vectors:{folder}"


PAGES = [f"page {number} of the handbook on printers,\nwith {number * 7} pictures" for number in range(60)]


def test_stored_vectors(stock, model, tmp_path):
    assert genzoo.doctor(vectors(tmp_path / "right", stock, PAGES, prompt_name="document"), model).verdict == "right"
    assert codes(genzoo.doctor(vectors(tmp_path / "bare", stock, PAGES), model)) == {"prompt-lost"}
    found = genzoo.doctor(vectors(tmp_path / "query", stock, PAGES, prompt_name="query"), model)
    assert codes(found) == {"other-prompt"}


def test_an_index_of_two_kinds_of_rows(stock, model, tmp_path):
    place = vectors(tmp_path / "mixed", stock, PAGES, prompt_name="document")
    mixed = stock.encode(PAGES, prompt_name="document")
    mixed[30:] = stock.encode(PAGES[30:])
    np.savez(tmp_path / "mixed" / "documents.npz", texts=np.array(PAGES), embeddings=mixed)
    found = genzoo.doctor(place, model)
    (fault,) = [row for row in found.deviations if row.severity == "fault"]
    assert fault.code == "prompt-lost"
    assert re.match(r"1[12] of 24 documents are embedded without their prompt", fault.text)


def test_an_index_of_another_revision(llama, model, stock, tmp_path):
    from conftest_builders import build_checkpoint

    other = build_checkpoint(llama, n_thought=2, n_compression=4, seed=1).save(tmp_path / "before")
    place = vectors(tmp_path / "old", genzoo.load(other, device="cpu"), PAGES, prompt_name="document")
    assert codes(genzoo.doctor(place, model)) & {"another-model", "another-revision"}
    found = genzoo.doctor(place, model, others=[other])
    assert codes(found) == {"known-model"}
    assert str(other) in found.deviations[0].text


def embed_with(stock):
    return lambda texts: stock.encode(texts, prompt_name="document", normalize_embeddings=False)


def test_a_chroma_collection(chroma, stock, model):
    def long(texts):
        return 3 * embed_with(stock)(texts)

    found = genzoo.doctor(chroma(PAGES, long, hnsw={"space": "cosine"}), model)
    assert (found.exit_code, codes(found), codes(found, "caution")) == (0, set(), set())


def test_a_chroma_collection_that_ranks_by_l2(chroma, stock, model):
    found = genzoo.doctor(chroma(PAGES, lambda texts: 3 * embed_with(stock)(texts)), model)
    assert codes(found) == {"distance"}
    assert "ranks by L2" in found.deviations[0].text


def test_a_lancedb_table(lance, stock, model):
    found = genzoo.doctor(lance(PAGES, lambda texts: stock.encode(broken(texts))), model)
    assert codes(found) == {"prompt-lost", REPLACED}


def test_it_shows_itself(stock, model):
    found = genzoo.doctor(stock.encode, model)
    assert json.loads(json.dumps(found.as_dict()))["deviations"][0]["code"] == "prompt-lost"
    assert list(found.to_frame()["code"]) == [row.code for row in found.deviations]
    assert "embedded without their prompt" in found._repr_html_()
    assert found.summary.startswith("wrong: 5 queries and 6 documents compared with")


@pytest.mark.slow
def test_a_shipped_model_in_real_precisions(tmp_path):
    """The thresholds were chosen on this model: no alarm in bfloat16, and the weakest faults are seen."""
    from sentence_transformers import SentenceTransformer

    folder = str(genzoo.export("smollm2-135m", tmp_path / "model", merge=True))
    low = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": "bfloat16"})
    found = genzoo.doctor(low)
    assert (found.verdict, codes(found, "fact")) == ("right", {"bfloat16"})
    found = genzoo.doctor(lambda texts: low.encode(texts, prompt=low.prompts["document"].rstrip()))
    assert codes(found) == {"other-prompt", "prompt-blank-lost"} or codes(found) >= {"prompt-blank-lost"}
