"""A model behind an endpoint scores what it scores here, is paid for once, and is never mixed with another."""

import collections
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from embedding_server import Cut, Reply, is_probing, words_to_vectors

import genzoo
from genzoo.errors import FailedRunsError, InputError
from genzoo.reports.measuring import plan_evaluation
from genzoo.tasks.embedders.address import Address
from genzoo.tasks.embedders.endpoint import Endpoint, EndpointOptions
from genzoo.tasks.embedders.known_endpoints import describe_endpoint
from genzoo.tasks.embedders.mteb_models import is_pinned
from genzoo.tasks.embedders.transport import EndpointError

KEY = "sk-a-very-secret-key-0123456789"
TASK = "GenZooMiniRetrieval"
TEXTS = ["one", "two words", "three of them", "two words"]


def opened(server, options=EndpointOptions(), folder=None):  # noqa: B008
    model = describe_endpoint(server.name, options).load_model()
    if folder is not None:
        model.keep_in(folder)
    return model


def measured(server, output, *tasks, **options):
    return genzoo.evaluate(server.name, tasks or TASK, output=output, evidence=False, **options)


def main_scores(output, pattern):
    return {
        path.stem: json.loads(path.read_text())["scores"]
        for path in output.glob(f"results/{pattern}/*/*.json")
        if path.name != "model_meta.json"
    }


def numbers(found):
    """Every score of some results, by where it stands."""
    return {
        (task, split, place, name): value
        for task, splits in found.items()
        for split, rows in splits.items()
        for place, row in enumerate(rows)
        for name, value in row.items()
        if isinstance(value, float)
    }


def test_scores_are_those_of_the_same_model_loaded_here(server, save_encoder, tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = save_encoder(tmp_path / "model")
    server.encode = SentenceTransformer(str(folder), device="cpu").encode
    tasks = [TASK, "GenZooMiniSTS", "GenZooMiniIntentClassification", "GenZooMiniReasoningRetrieval"]
    genzoo.evaluate([str(folder), server.name], tasks, output=tmp_path / "r", evidence=False)
    here, there = (numbers(main_scores(tmp_path / "r", name)) for name in ("local__model", "localhost-*__tiny"))
    assert len(here) > 100 and here.keys() == there.keys()
    assert max(abs(here[key] - there[key]) for key in here if not np.isnan(here[key])) < 1e-6
    assert set(server.task_texts().values()) == {1}


@pytest.mark.slow
def test_minilm_behind_an_endpoint_scores_the_same(server, tmp_path):
    from genzoo.teachers.teachers import load_teacher

    server.encode = load_teacher("minilm", "cpu").encode
    genzoo.evaluate(["minilm", server.name], [TASK, "GenZooMiniSTS"], output=tmp_path, evidence=False)
    names = ("sentence-transformers__all-MiniLM-L6-v2", "localhost-*__tiny")
    here, there = (numbers(main_scores(tmp_path, name)) for name in names)
    assert here.keys() == there.keys()
    assert max(abs(here[key] - there[key]) for key in here if not np.isnan(here[key])) < 1e-6


def test_a_killed_run_goes_on_and_pays_for_nothing_twice(server, tmp_path):
    """The process is killed while the server holds its fifth request: it has kept what the four before gave."""
    undisturbed = tmp_path / "undisturbed"
    measured(server, undisturbed)
    expected = server.task_texts()
    server.texts.clear()
    code = "import sys, genzoo; genzoo.evaluate(sys.argv[1], sys.argv[2], output=sys.argv[3], evidence=False)"
    process = subprocess.Popen([sys.executable, "-c", code, server.name, TASK, str(tmp_path / "killed")])
    server.stop_at(5, lambda: (process.send_signal(signal.SIGKILL), process.wait()))
    assert process.wait(timeout=300) == -signal.SIGKILL
    before = sum(server.task_texts().values())
    assert 0 < before < sum(expected.values())
    server.faults = lambda texts: None
    measured(server, tmp_path / "killed")
    assert server.task_texts() == expected
    assert set(expected.values()) == {1}
    found = [numbers(main_scores(folder, "localhost-*")) for folder in (undisturbed, tmp_path / "killed")]
    assert found[0] == found[1]


def test_a_finished_run_asks_for_probes_alone(server, tmp_path):
    measured(server, tmp_path)
    before = server.task_texts()
    measured(server, tmp_path)
    assert server.task_texts() == before
    assert not is_pinned(server.name)
    assert plan_evaluation(server.name, TASK, output=tmp_path).finished is None  # files alone cannot tell


def test_a_changed_model_is_said_and_never_mixed(server, tmp_path, caplog):
    measured(server, tmp_path)
    before = main_scores(tmp_path, "localhost-*")
    server.encode = lambda texts: -words_to_vectors([text[::-1] for text in texts])
    server.texts.clear()
    with caplog.at_level(logging.WARNING, "genzoo"):
        measured(server, tmp_path)
    assert f"the model behind {server.name} has changed since" in caplog.text
    revisions = sorted(path.name for path in tmp_path.glob("results/localhost-*/*"))
    assert len(revisions) == 2
    assert len(list(tmp_path.glob(".embeddings/localhost-*/*.sqlite"))) == 2
    assert set(server.task_texts().values()) == {1} and len(server.task_texts()) > 200  # nothing of the other was used
    assert len(genzoo.open_results(tmp_path).models) == 2
    caplog.clear()
    server.encode = words_to_vectors
    with caplog.at_level(logging.WARNING, "genzoo"):
        measured(server, tmp_path)
    assert "again, at revision" in caplog.text
    assert sorted(path.name for path in tmp_path.glob("results/localhost-*/*")) == revisions
    assert before


def test_a_model_that_changes_in_the_middle_of_a_run_stops_it(server, tmp_path, slept):
    other = lambda texts: words_to_vectors([text[::-1] for text in texts])  # noqa: E731
    seen = []

    def change(texts):
        if not is_probing(texts):
            seen.append(texts)
            if len(seen) == 3:
                server.encode = other
        return None

    server.faults = change
    with pytest.raises(FailedRunsError, match="the model has changed since the run began"):
        measured(server, tmp_path, processes=1)
    kept = sum(len(texts) - 1 for texts in seen[:2])
    assert count_kept(tmp_path) == kept
    assert not list(tmp_path.glob("results/localhost-*"))


def count_kept(output):
    import sqlite3

    (path,) = output.glob(".embeddings/localhost-*/*.sqlite")
    with sqlite3.connect(path) as base:
        return base.execute("SELECT count(*) FROM vectors").fetchone()[0]


def test_a_passing_replica_of_another_model_is_asked_again(server, slept):
    model = opened(server)
    server.once(lambda rows: [{**row, "embedding": row["embedding"][::-1]} for row in rows])
    np.testing.assert_allclose(model.embed(TEXTS), words_to_vectors(TEXTS), rtol=1e-6)
    assert model.transport.faults == {"an answer of another model": 1}


def spoilt(value):
    def spoil(rows):
        rows[1]["embedding"][3] = value
        return rows

    return spoil


FAULTS = [
    (Reply(429, {}, {"Retry-After": "0"}), "429 Too Many Requests"),
    (Reply(500, {}), "500 Internal Server Error"),
    (Cut(), "connection cut"),
    (lambda rows: rows[:-1], "fewer embeddings than texts"),
    (lambda rows: [*rows, rows[0]], "more embeddings than texts"),
    (lambda rows: [{**row, "embedding": row["embedding"][:-1]} for row in rows], "embeddings of another width"),
    (lambda rows: [{**row, "embedding": row["embedding"][: row["index"] + 1]} for row in rows], "embeddings of several widths, or that are no numbers"),
    (lambda rows: [{**row, "embedding": "AAAA"} for row in rows], "embeddings of several widths, or that are no numbers"),
    (lambda rows: [{**row, "index": 0} for row in rows], "embeddings that are not numbered from 0"),
    (lambda rows: [{**row, "index": str(row["index"])} for row in rows], "embeddings that are not numbered from 0"),
    (lambda rows: [{"object": "embedding"} for _ in rows], "an answer without embeddings"),
    (lambda rows: None, "an answer without embeddings"),
    (spoilt(float("nan")), "NaN or infinite values"),
    (spoilt(float("inf")), "NaN or infinite values"),
    (spoilt(1e39), "NaN or infinite values"),
    (spoilt(None), "NaN or infinite values"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_one_bad_answer_is_made_good_and_counted(server, slept, fault, kind):
    model = opened(server)
    server.once(fault)
    np.testing.assert_allclose(model.embed(TEXTS), words_to_vectors(TEXTS), rtol=1e-6)
    assert model.transport.faults == {kind: 1}


def test_the_notes_of_a_run_count_what_went_wrong(server, tmp_path, slept, caplog):
    faults = [FAULTS[place] for place in (0, 0, 1, 2, 3, 12)]
    server.once(*(fault for fault, _ in faults))
    with caplog.at_level(logging.WARNING, "genzoo"):
        measured(server, tmp_path)
    (note,) = [record.getMessage() for record in caplog.records if "could not be used" in record.getMessage()]
    for kind, count in collections.Counter(kind for _, kind in faults).items():
        assert f"{kind} ({count})" in note
    assert "6 answers of " in note


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (spoilt(float("nan")), "NaN or infinite values, the first for the text 'one', 3 times in a row"),
        (lambda rows: [{**row, "embedding": row["embedding"][:-1]} for row in rows], "embeddings of 15 numbers in place of 16"),
        (lambda rows: rows[:-1], "fewer embeddings than texts, 3 times in a row"),
    ],
)  # fmt: skip
def test_an_answer_that_stays_bad_is_an_error_and_nothing_of_it_is_kept(server, slept, tmp_path, fault, said):
    model = opened(server, folder=tmp_path)
    server.always(fault)
    with pytest.raises(EndpointError, match=said):
        model.embed(TEXTS)
    server.faults = lambda texts: None
    assert len(model.embed(TEXTS)) == 4  # later texts fare better
    assert server.task_texts() == {"one": 1, "two words": 1, "three of them": 1}


def test_the_key_is_in_no_file_and_no_output(server, tmp_path, monkeypatch, slept, caplog, capfd):
    monkeypatch.setenv("GENZOO_API_KEY", KEY)
    server.key = KEY
    with caplog.at_level(logging.DEBUG):
        measured(server, tmp_path)
        server.faults = lambda texts: Reply(500, {"error": {"message": f"bad key {KEY} of {KEY[:10]}"}})
        with pytest.raises(EndpointError) as stop:
            measured(server, tmp_path, overwrite=True)
        server.faults, server.key = (lambda texts: None), "changed"
        with pytest.raises(EndpointError) as refused:
            measured(server, tmp_path, overwrite=True)
    told = capfd.readouterr()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) > 10_000
    for text in (
        caplog.text,
        str(stop.value),
        str(refused.value),
        told.out,
        told.err,
        written.decode("utf-8", "replace"),
    ):
        assert KEY not in text and KEY[:10] not in text


def test_a_missing_key_is_said_before_anything_is_measured(server, tmp_path):
    server.key = KEY
    with pytest.raises(EndpointError, match="it asks for a key: set GENZOO_API_KEY"):
        plan_evaluation(server.name, TASK, output=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_prefixes_reach_each_side_and_are_results_of_their_own(server, tmp_path):
    options = {"query_prefix": "query: ", "document_prefix": "passage: "}
    measured(server, tmp_path)
    plain = set(server.task_texts())
    server.texts.clear()
    measured(server, tmp_path, **options)
    sides = {text.split(" ")[0] for text in server.task_texts()}
    assert sides == {"query:", "passage:"}
    assert {text.split(": ", 1)[1] for text in server.task_texts()} == plain
    assert len(list(tmp_path.glob("results/localhost-*/*"))) == 2
    server.texts.clear()
    measured(server, tmp_path, document_prefix="passage: ", overwrite=True)
    assert not [text for text in server.task_texts() if text.startswith("passage: ")]  # a prefix alone costs one side
    records = [json.loads(path.read_text()) for path in tmp_path.glob(f"environment/localhost-*/*/{TASK}.json")]
    assert {"query": "query: ", "document": "passage: "} in [record["prompts"][TASK] for record in records]


def test_prompts_by_task_reach_an_endpoint(server, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps({f"{TASK}-query": "find: "}))
    measured(server, tmp_path / "r")
    plain = set(server.task_texts())
    server.texts.clear()
    measured(server, tmp_path / "r", prompts=tmp_path / "mine.json")
    assert {text.removeprefix("find: ") for text in server.task_texts()} < plain
    assert all(text.startswith("find: ") for text in server.task_texts())  # documents are as before, and kept
    (name,) = tmp_path.glob("r/results/*-mine-prompts")
    assert name.name.startswith("localhost-")
    with pytest.raises(InputError, match="give one of them"):
        plan_evaluation(server.name, TASK, output=tmp_path, prompts="tasks", query_prefix="q: ")
    with pytest.raises(InputError, match="takes no prompts"):
        plan_evaluation(f"rrf:{server.name}+bm25", TASK, output=tmp_path, prompts="tasks")


def test_the_record_says_that_an_endpoint_computed(server, tmp_path):
    server.listing = {"data": [{"id": "tiny", "max_model_len": 77}]}
    measured(server, tmp_path, query_prefix="q: ")
    (path,) = tmp_path.glob("environment/localhost-*/*.json")
    found = json.loads(path.read_text())
    assert (found["device"], found["embed_dim"], found["max_tokens"]) == ("endpoint", 16, 77)
    assert found["prompts"] == {"query": "q: ", "document": ""} and found["texts_per_second"] > 0


def test_prefixes_are_for_endpoints(tmp_path):
    with pytest.raises(InputError, match="query_prefix, document_prefix and rate_limit are for endpoints"):
        plan_evaluation("random", TASK, output=tmp_path, query_prefix="query: ")


def test_one_text_is_sent_once_and_order_is_kept(server, tmp_path):
    model = opened(server, folder=tmp_path)
    np.testing.assert_allclose(model.embed(TEXTS, batch_size=3), words_to_vectors(TEXTS), rtol=1e-6)
    assert server.task_texts() == {"one": 1, "two words": 1, "three of them": 1}
    again = opened(server, folder=tmp_path)
    assert np.array_equal(again.embed(TEXTS[::-1]), model.embed(TEXTS[::-1]))
    assert set(server.task_texts().values()) == {1}
    assert again.embed([]).shape == (0, 16)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_no_request_has_more_texts_than_the_batch_size(server, batch_size):
    model, sizes = opened(server), []
    server.faults = lambda texts: sizes.append(len(texts))
    texts = [f"text {number}" for number in range(9)]
    np.testing.assert_allclose(model.embed(texts, batch_size=batch_size), words_to_vectors(texts), rtol=1e-6)
    assert max(sizes) == batch_size


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_server_that_takes_few_texts_a_request_gets_few(server, most, tmp_path):
    sizes = []

    def refuse(texts):
        sizes.append(len(texts))
        return (
            Reply(413, {"error": f"batch size {len(texts)} > maximum allowed batch size {most}"})
            if len(texts) > most
            else None
        )

    server.faults = refuse
    model = opened(server, folder=tmp_path)
    model.at_once = 1
    texts = [f"text {number}" for number in range(40)]
    np.testing.assert_allclose(model.embed(texts, batch_size=16), words_to_vectors(texts), rtol=1e-6)
    assert set(server.task_texts().values()) == {1}
    assert 0 < sum(model.transport.faults.values()) <= 5  # the size is remembered
    sizes.clear()
    model.embed(["another", "and one more"], batch_size=16)
    assert max(sizes) <= most


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_text_that_is_too_long_is_named_and_the_others_are_kept(server, tmp_path, at_once):
    server.faults = lambda texts: (
        Reply(400, {"error": {"message": "maximum context length is 9 tokens"}})
        if any(len(text.split()) > 99 for text in texts)
        else None
    )
    model = opened(server, folder=tmp_path)
    model.at_once = at_once
    texts = [f"text {number}" for number in range(12)]
    with pytest.raises(
        EndpointError, match=r"9 tokens\)\. .* one text of 700 characters, 'long w.*shorten it, or start the server so"
    ):
        model.embed([*texts[:7], "long wd" + " xxxxxx" * 99, *texts[7:]], batch_size=5)
    before = server.task_texts()
    assert set(before.values()) == {1} and len(before) >= 7
    model = opened(server, folder=tmp_path)
    model.embed(texts, batch_size=5)
    assert server.task_texts() == dict.fromkeys(texts, 1)
    assert model.most > 5  # the number of texts was not what it refused


def test_requests_are_made_side_by_side_and_numbers_stay_the_same(server):
    texts, held = [f"text {number}" for number in range(64)], threading.Barrier(4, timeout=30)
    server.faults = lambda texts: None if is_probing(texts) else (held.wait(), None)[1]
    model = opened(server)
    np.testing.assert_allclose(model.embed(texts, batch_size=9), words_to_vectors(texts), rtol=1e-6)
    assert (model.texts, model.transport.requests) == (64, 8)


def test_the_number_of_requests_at_a_time_is_that_of_the_processes(server, tmp_path):
    lock, running, most = threading.Lock(), [], []

    def count(texts):
        with lock:
            running.append(texts)
            most.append(len(running))
        time.sleep(0.02)
        with lock:
            running.remove(texts)

    server.faults = count
    measured(server, tmp_path / "one", processes=1)
    assert max(most) == 1
    measured(server, tmp_path / "six", processes=6, batch_size=8)
    assert 2 < max(most) <= 6


def test_answers_may_come_in_any_order(server):
    model = opened(server)
    server.once(lambda rows: rows[::-1])
    np.testing.assert_allclose(model.embed(TEXTS), words_to_vectors(TEXTS), rtol=1e-6)
    server.once(lambda rows: [{"embedding": row["embedding"]} for row in rows])  # not numbered at all: in order
    np.testing.assert_allclose(model.embed(["other"]), words_to_vectors(["other"]), rtol=1e-6)
    assert not model.transport.faults


def test_vllm_is_asked_to_cut_at_its_own_limit(server):
    server.listing = {"data": [{"id": "tiny", "max_model_len": 77}, {"id": "other", "max_model_len": 5}]}
    assert opened(server).max_length == 77
    server.listing = {"data": "nonsense"}
    assert opened(server).max_length is None


def test_a_server_that_draws_at_random_is_refused(server):
    rng = np.random.default_rng(0)
    server.encode = lambda texts: rng.standard_normal((len(texts), 16))
    with pytest.raises(EndpointError, match="two different embeddings for one text"):
        describe_endpoint(server.name)


def test_a_noisy_server_is_one_model(server, tmp_path):
    rng = np.random.default_rng(0)
    server.encode = lambda texts: words_to_vectors(texts) * (1 + 0.005 * rng.standard_normal((len(texts), 16)))
    measured(server, tmp_path)
    before = server.task_texts()
    for _ in range(3):
        measured(server, tmp_path)
    assert server.task_texts() == before and len(list(tmp_path.glob("results/localhost-*/*"))) == 1


def test_a_plan_says_tokens_and_what_they_cost(server, tmp_path):
    ahead = plan_evaluation([server.name, "random", f"rrf:{server.name}+bm25"], TASK, output=tmp_path)
    assert ahead.plan.endpoints == {ahead.grid.metas[0].name, ahead.grid.metas[2].name}
    assert ahead.plan.tokens > 1000
    assert ahead.plan.cost(2.0) == pytest.approx(ahead.plan.tokens * 2 / 1e6)
    assert not server.task_texts() and not (tmp_path / "results").exists()


def test_options_are_checked():
    with pytest.raises(InputError, match="rate_limit is 0"):
        EndpointOptions(rate_limit=0)


def test_an_interrupt_while_waiting_stops_at_once(server):
    model = opened(server)
    server.always(Reply(429, {}, {"Retry-After": "600"}))
    # a shell that starts the tests in the background has them ignore interrupts
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            model.embed(TEXTS)
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_wrapper_is_mtebs_encoder(server):
    from mteb.models import EncoderProtocol

    model = Endpoint(Address.parse(server.name), EndpointOptions())
    assert isinstance(model, EncoderProtocol)
    assert describe_endpoint(server.name).revision == describe_endpoint(server.name).revision
