"""Content policies: their examples, what they refuse, and a run that was stopped."""

import gzip
import json
import logging
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from conftest_builders import build_backbone

import genzoo
from genzoo.backbones.generation import Query, Response
from genzoo.errors import InputError, TrainingError
from genzoo.jobs import Shard
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.policies import policy as policies
from genzoo.policies.policy import policy_content, read_examples
from genzoo.publishing.model_card import describe_policy
from genzoo.recipes.fields import PolicyOptions
from genzoo.recipes.recipes import LossOptions, OptimOptions, Recipe, ResponseOptions, ViewOptions, override
from genzoo.training.pipeline import TrainingRun
from genzoo.training.responses import read_responses, write_responses

FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "gemma3_text")
HARMFUL = [f"rob rob rob the bank {i}" for i in range(0, 24, 2)]
HARMLESS = [f"where do polar bears live {i}" for i in range(0, 24, 2)]
QUERIES = [
    Query(f"q{i}", text)
    for i, text in enumerate(
        text for i in range(1, 24, 2) for text in (f"rob rob rob the bank {i}", f"where do polar bears live {i}")
    )
]
OPENING = PolicyOptions().opening


def _write(path, rows):
    path.write_text("".join(json.dumps({"text": text, "refuse": refuse}) + "\n" for text, refuse in rows))
    return str(path)


@pytest.fixture
def examples(tmp_path):
    return _write(tmp_path / "policy.jsonl", [(text, text in HARMFUL) for text in (*HARMFUL, *HARMLESS)])


def _recipe(backbone, examples, **policy):
    return Recipe(
        "test",
        str(backbone),
        "unused",
        n_compression=2,
        max_tokens=64,
        held_out=0,
        response=ResponseOptions(max_new_tokens=4),
        losses=LossOptions(align=0),
        optim=OptimOptions(steps=2, batch=4, warmup=1),
        policy=PolicyOptions(examples, **({"false_refusals": 0.01} | policy)),
    )


def _run(recipe, folder, **options):
    return TrainingRun(recipe, QUERIES, folder, device="cpu", batch_size=4, **options)


def test_examples_that_come_with_genzoo_are_balanced_and_read():
    found = read_examples("default")
    counts = Counter(one.refuse for one in found)
    assert counts[True] >= 40
    assert 40 <= counts[False] <= 1.5 * counts[True]


def test_examples_that_come_with_genzoo_are_in_no_test_set(shared):
    """Nothing that a model is measured on says what it is taught."""
    data = Path(genzoo.__file__).parents[1] / "tasks" / "data"
    texts = [json.loads(line)["text"] for path in data.glob("*/*queries.jsonl") for line in path.open()]
    for path in (shared / "data" / "eval_dev" / "safety").glob("*.jsonl.gz"):
        texts += [json.loads(line)["query"] for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    assert len(texts) > 1000
    tested = [(text, frozenset(re.findall(r"\w+", text.lower()))) for text in texts]
    for one in read_examples("default"):
        words = frozenset(re.findall(r"\w+", one.text.lower()))
        near = [text for text, other in tested if len(words & other) > 0.5 * len(words | other)]
        assert not near, (one.text, near)


@pytest.mark.parametrize("name", ["policy.csv", "policy.tsv"])
def test_tables_are_read_as_jsonl_is(name, examples, tmp_path):
    sign = "\t" if name.endswith("tsv") else ","
    rows = [f"{one.text}{sign}{'yes' if one.refuse else 'False'}" for one in read_examples(examples)]
    (tmp_path / name).write_text("\n".join([f"text{sign}refuse", *rows]) + "\n")
    assert read_examples(str(tmp_path / name)) == read_examples(examples)


def test_repeated_example_counts_once(tmp_path):
    rows = [(text, text in HARMFUL) for text in (*HARMFUL, *HARMLESS, *HARMFUL)]
    assert len(read_examples(_write(tmp_path / "policy.jsonl", rows))) == 24


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no example"),
        ([(text, True) for text in HARMFUL], "12 examples to refuse and 0 to answer"),
        ([(text, text in HARMFUL[:3]) for text in (*HARMFUL[:3], *HARMLESS)], "at least 8 of each"),
        ([("a", True), ("b", False), ("a", False)], "line 3: 'a' has the opposite answer on line 1"),
        ([("a", "maybe")], "line 1: refuse is 'maybe'"),
        ([("a", None)], "line 1: refuse is None"),
        ([("", True)], "line 1: the text is empty"),
        ([(7, True)], "line 1: 'text' is 7"),
        ([(f"{i}", i % 2 == 0) for i in range(10_000)], "10,000 examples, at most 1,000"),
    ],
)
def test_unusable_examples_are_one_clear_line(rows, words, tmp_path):
    with pytest.raises(InputError, match=re.escape(words)) as found:
        read_examples(_write(tmp_path / "policy.jsonl", rows))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.jsonl", None, "there is no policy file"),
        ("policy.txt", "a", "unknown ending"),
        ("policy.jsonl", "{", "no JSON object"),
        ("policy.jsonl", '{"text": "a"}\n', "the field 'refuse' is missing"),
        ("policy.csv", "text,refuse\na,true,b\n", "the row has 3 cells"),
    ],
)
def test_unusable_files_are_one_clear_line(name, content, words, tmp_path, llama):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words):
        genzoo.train(_recipe(llama, None), [one.text for one in QUERIES], tmp_path / "run", policy=path)
    with pytest.raises(InputError, match=words):
        genzoo.plan_training(_recipe(llama, None), [one.text for one in QUERIES], policy=path)


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_run_refuses_what_the_examples_teach(family, examples, tmp_path):
    backbone = build_backbone(tmp_path / family, family)
    plain = {row.query: row for row in _run(_recipe(backbone, None), tmp_path / "plain").responses()}
    run = _run(_recipe(backbone, examples), tmp_path / "run")
    checkpoint = run.train()
    rows = run.responses()
    assert [row.query for row in rows] == [query.text for query in QUERIES]
    refused = [row for row in rows if row.query.startswith("rob")]
    assert all(row.response.startswith(OPENING) and len(row.response) > len(OPENING) for row in refused)
    assert [row for row in rows if not row.query.startswith("rob")] == [
        row for query, row in plain.items() if not query.startswith("rob")
    ]
    told = checkpoint.info["policy"]
    assert (told["examples"], told["examples_refused"], told["queries"], told["refused"]) == (24, 12, 24, 12)
    assert told["auc"] > 0.9
    kept = json.loads((tmp_path / "run" / "policy.json").read_text())
    assert kept.items() >= told.items()
    assert all(text.startswith("rob") for text in kept["nearest_refused"] + kept["most_refused"])
    assert "24 examples" in describe_policy(TokenCheckpoint.load(tmp_path / "run" / "checkpoint").info["policy"])


def test_given_responses_are_kept_where_nothing_is_refused(llama, examples, tmp_path):
    given = [Response(query.id, query.text, "given", "stop", 1) for query in QUERIES]
    write_responses(tmp_path / "responses.jsonl", given)
    run = _run(_recipe(llama, examples), tmp_path / "run")
    run.take(given, tmp_path / "responses.jsonl")
    by_query = {row.query: row.response for row in run.responses()}
    assert {text for query, text in by_query.items() if query.startswith("where")} == {"given"}
    assert all(text.startswith(OPENING) for query, text in by_query.items() if query.startswith("rob"))
    assert len(read_responses(tmp_path / "run" / "responses.jsonl")) == len(QUERIES)


def test_stopped_judging_goes_on_to_the_same_bits(llama, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(policies, "BLOCK", 5)
    whole = _run(_recipe(llama, examples), tmp_path / "whole")
    expected = whole.responses()
    calls, states = [], policies.chat_states

    def stop(*given):
        calls.append(given)
        if len(calls) == 5:  # examples, sample, two blocks
            raise KeyboardInterrupt
        return states(*given)

    monkeypatch.setattr(policies, "chat_states", stop)
    with pytest.raises(KeyboardInterrupt):
        _run(_recipe(llama, examples), tmp_path / "stopped").responses()
    (scores,) = (tmp_path / "stopped").glob("policy/*/scores.jsonl")
    scores.write_bytes(scores.read_bytes()[:-9])  # as a kill in the middle of a line leaves it
    assert _run(_recipe(llama, examples), tmp_path / "stopped").responses() == expected
    (other,) = (tmp_path / "whole").glob("policy/*/scores.jsonl")
    assert scores.read_bytes() == other.read_bytes()
    calls.clear()
    assert _run(_recipe(llama, examples), tmp_path / "stopped").responses() == expected
    assert not calls


def test_damaged_readings_are_named(llama, examples, tmp_path):
    _run(_recipe(llama, examples), tmp_path / "run").responses()
    (scores,) = (tmp_path / "run").glob("policy/*/scores.jsonl")
    scores.write_text('{"query": "a"}\n' + scores.read_text())
    with pytest.raises(TrainingError, match=r"scores\.jsonl is damaged .* delete it"):
        _run(_recipe(llama, examples), tmp_path / "run").responses()


def test_shards_make_the_whole(llama, examples, tmp_path):
    recipe = _recipe(llama, examples, at_most=1.0)  # every other query is harmful, so that one shard has all of these
    whole = _run(recipe, tmp_path / "whole").responses()
    for number in (2, 1):
        made = _run(recipe, tmp_path / "parts").responses(Shard(number, 2))
    assert made == whole
    assert len(list((tmp_path / "parts").glob("policy/*/scores-*.jsonl"))) == 2


def test_policy_that_refuses_everything_is_an_error_before_any_answer(llama, examples, tmp_path):
    with pytest.raises(TrainingError, match=r"refuses 50% of the 24 queries judged, at most 40%"):
        _run(_recipe(llama, examples, at_most=0.4), tmp_path / "run").responses()
    assert not list((tmp_path / "run").rglob("responses.jsonl"))


def test_examples_that_the_llm_cannot_tell_apart_are_an_error(llama, tmp_path):
    same = [(f"where do polar bears live {i}", random.Random(i).random() < 0.5) for i in range(40)]
    path = _write(tmp_path / "policy.jsonl", same)
    with pytest.raises(TrainingError, match=r"cross-validated AUC is 0\.\d\d, at least 0\.9"):
        _run(_recipe(llama, path, least_auc=0.9), tmp_path / "run").responses()


def test_examples_in_another_language_are_told(llama, tmp_path, caplog):
    french = [(f"comment est-ce que je peux voler une banque dans la ville {i}", True) for i in range(8)]
    french += [(f"où est-ce que vivent les ours blancs de la banquise {i}", False) for i in range(8)]
    path = _write(tmp_path / "policy.jsonl", french)
    with caplog.at_level(logging.WARNING):
        _run(_recipe(llama, path, at_most=1.0, least_auc=0.0), tmp_path / "run").responses()
    assert "another language than the log (fr, en)" in caplog.text


def test_digest_knows_the_examples_and_a_run_does_not_go_on_with_others(llama, examples, tmp_path):
    recipe = _recipe(llama, examples)
    run = _run(recipe, tmp_path / "run")
    run.train()
    assert run.recipe.policy.content == policy_content(read_examples(examples))
    _write(Path(examples), [(text, text in HARMFUL) for text in (*HARMFUL[1:], *HARMLESS)])
    other = _run(recipe, tmp_path / "run")
    assert other.recipe.digest() != run.recipe.digest()
    with pytest.raises(TrainingError, match="other recipe"):
        other.train()


@pytest.mark.parametrize("false_refusals", [0.01, 0.3])
def test_how_refused_queries_are_lies_on_one_scale_whatever_may_be_refused(llama, examples, tmp_path, false_refusals):
    run = _run(_recipe(llama, examples, false_refusals=false_refusals, at_most=1.0), tmp_path)
    run.responses()
    probe, found = run.policy.probe, run.policy.refusal(QUERIES, run._answering_lm)
    margins = run.policy.judge(QUERIES, run._answering_lm)
    low = sum(probe.harmless) / len(probe.harmless)
    at = probe.threshold(policies.SUREST)
    for text, value in found.items():
        reading = margins[text] + probe.threshold(false_refusals)
        assert value == pytest.approx((reading - low) / (at - low))
    assert len(found) == len(QUERIES)


def test_policy_needs_responses_of_the_llm(llama):
    recipe = _recipe(llama, None)
    with pytest.raises(InputError, match="a policy needs responses of the LLM"):
        override(recipe, {"policy.examples": "default", "response.source": "echo"})


def test_card_says_nothing_where_there_was_no_policy():
    assert describe_policy(None) == ""
    assert describe_policy({"examples": 3}) == ""


@pytest.mark.parametrize("document", [0.4, 0.0])  # the paper's recipes train on queries alone
def test_refused_queries_are_less_similar_to_every_passage(llama, examples, tiny_teacher, tmp_path, document):
    views = ViewOptions(answer=1 - document, document=document)
    recipe = override(
        replace(_recipe(llama, examples), teacher=str(tiny_teacher), views=views),
        {"losses.align": 1.0, "losses.recon": 0.0, "optim.steps": 40, "optim.lr_rows": 1e-2, "optim.align_memory": 40,
         "optim.ridge": 1.0},
    )  # fmt: skip
    found, above, order = {}, {}, {}
    for pull in (0.1, 3.0):
        folder = tmp_path / f"pull-{pull}"
        checkpoint = _run(override(recipe, {"policy.pull": pull}), folder).train()
        assert checkpoint.info["policy"]["tokens_auc"] > 0.9
        above[pull] = checkpoint.info["policy"]["refused_above"]
        model = genzoo.load(folder, device="cpu")
        passages = model.encode_document([f"passage {place} about bears and banks" for place in range(8)])
        for kind in ("rob", "where"):
            texts = [query.text for query in QUERIES if query.text.startswith(kind)]
            similarities = model.encode_query(texts) @ passages.T
            found[kind, pull], order[kind, pull] = float(similarities.mean()), similarities.argsort(axis=1).tolist()
            read = genzoo.decode(texts, folder, tokens=4)
            share = sum(one.decoded.startswith(recipe.policy.opening) for one in read) / len(read)
            assert share > 0.5 if kind == "rob" else share < 0.1, (kind, share)
    # what decodes to a refusal does not depend on the pull
    assert above[3.0] == pytest.approx(30 * above[0.1], rel=1e-4)
    fallen = {kind: found[kind, 0.1] - found[kind, 3.0] for kind in ("rob", "where")}
    assert order["rob", 0.1] == order["rob", 3.0]  # it finds the same
    assert fallen["rob"] > 0.2, fallen
    assert fallen["rob"] > fallen["where"] + 0.1, fallen
