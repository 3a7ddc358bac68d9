"""The training commands as a user meets them."""

import csv
import json

import pytest
from conftest_builders import ON_A_TINY_LLM, SENTENCES, TINY_LLM_WORDS

from genzoo.models.entries import get_entry, list_models
from genzoo.training.run import teacher_of


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["searched", "day"])
        writer.writerows([f"{text} {i}", i] for i, text in enumerate(SENTENCES))
    return path


def test_dry_run_prints_the_plan_and_writes_nothing(genzoo, log, tmp_path):
    words = ("train", "llama-3.2-1b", "--queries", log, "--column", "searched", "--dry-run")
    code, text, _ = genzoo(*words)
    assert code == 0
    for told in (
        "1,236 M parameters",
        "licence llama3.2, gated: https://huggingface.co/meta-llama",
        "GB at the peak",
        "160,000",
    ):
        assert told in text
    plan = json.loads(genzoo(*words, "--json", "--set", "optim.steps=10", "--batch", 4)[1])
    assert plan["training"] == "10 steps of 4: 40 examples"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv"]


def test_dry_run_refuses_what_could_not_be_made(genzoo, log, llama, tmp_path):
    words = (
        "train",
        "smollm2-135m",
        "--queries",
        log,
        "--column",
        "searched",
        "--dry-run",
        *TINY_LLM_WORDS,
        "--backbone",
    )
    for given, message in (
        ([llama, "--set", "unsupervised.layer=99"], "unsupervised.layer is 99, the backbone has layers 1 to"),
        (
            [llama, "--set", "unsupervised.whiten=16"],
            "whitening to 16 dimensions needs more than 16 texts, the log has 16",
        ),
        ([llama, "--teacher", "minilm", "--set", "lora.rank=4", "--set", "lora.modules=x"], "no projection is named x"),
        ([llama, "--teacher", "minilm", "--set", "lora.rank=9999"], "lora.rank is 9999, the backbone is"),
        ([llama, "--teacher", "minilmm"], "unknown teacher 'minilmm'; did you mean minilm?"),
        ([llama, "--teacher", tmp_path], "is not a SentenceTransformer folder"),
        (["smollm"], "unknown backbone 'smollm'"),
        (["./nowhere"], "there is no folder ./nowhere"),
    ):
        code, text, errors = genzoo(*words, *given)
        assert (code, text) == (1, ""), given
        assert message in errors
    code, _, errors = genzoo(*words, "org/name", "--teacher", "org/name")
    assert code == 0, errors


def test_shards_then_train_with_changed_fields(genzoo, log, llama, tiny_teacher, tmp_path):
    words = [
        "smollm2-135m",
        "--queries",
        log,
        "--column",
        "searched",
        "--output",
        tmp_path / "run",
        "--backbone",
        llama,
    ]
    words += ["--set", "response.max_new_tokens=3", *TINY_LLM_WORDS]
    for shard in ("1/2", "2/2"):
        code, text, _ = genzoo("responses", *words, "--shard", shard)
        assert code == 0
    assert "16 responses in" in text
    more = [
        "--teacher",
        tiny_teacher,
        "--steps",
        3,
        "--batch",
        2,
        "--set",
        "n_compression=2",
        "--set",
        "losses.recon=0",
    ]
    code, text, _ = genzoo("train", *words, *more, "--json")
    assert code == 0
    assert json.loads(text)["trained"] == 2 * 32 + 32 * 33 + 12 * 33
    assert not (tmp_path / "run" / "responses.jsonl").exists()  # the shards had answered everything


def test_teacher_is_a_model_like_any_other(genzoo, log, llama, tmp_path):
    words = ["teacher", "smollm2-135m", "--queries", log, "--column", "searched", "--backbone", llama]
    words += ["--set", "unsupervised.layer=1", "--set", "unsupervised.whiten=4", *TINY_LLM_WORDS]
    code, text, _ = genzoo(*words, "-o", tmp_path / "teacher")
    assert code == 0
    assert "4 dimensions" in text
    from sentence_transformers import SentenceTransformer

    assert SentenceTransformer(str(tmp_path / "teacher"), device="cpu").encode(["a"]).shape == (1, 4)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    code, _, errors = genzoo(*words, "-o", tmp_path / "mine")
    assert code == 1
    assert "is not a SentenceTransformer folder" in errors


def test_study_is_measured_through_mteb(genzoo, log, llama, tmp_path):
    common = {
        "backbone": str(llama),
        "optim.steps": 2,
        "optim.batch": 2,
        "unsupervised.layer": 1,
        "unsupervised.whiten": 4,
    }
    common |= {"response.max_new_tokens": 2, "max_tokens": 64} | ON_A_TINY_LLM
    facts = {"recipe": "smollm2-135m", "common": common, "seeds": [0], "variants": {"base": {}}}
    (tmp_path / "mine.json").write_text(json.dumps(facts))
    words = ["study", "mine.json", "-q", log, "--column", "searched", "-o", "out"]
    words += ["-t", "GenZooMiniSTS", "-t", "GenZooMiniSafetyRetrieval", "-t", "GenZooMiniOverRefusalRetrieval"]
    code, _, errors = genzoo(*words)
    assert code == 0, errors
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open()))
    assert {row["variant"] for row in rows if row["metric"] == "GenZooMiniSTS"} == {"base", "teacher of base"}
    # Safety at each utility comes with the pair of tasks; the pair's predictions are those of the run.
    at_utility = [row for row in rows if row["metric"].startswith("GenZooMiniSafetyRetrieval.safety_at_utility_")]
    assert {row["metric"].rpartition("_")[2] for row in at_utility} == {"50", "70", "90"}
    assert {row["variant"] for row in at_utility} == {"base", "teacher of base"}
    assert all(0 <= float(row["value"]) <= 1 for row in at_utility)


def test_controls_give_what_the_training_kept(genzoo, llama, tiny_teacher, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("\n".join(f"{text} {i}" for i, text in enumerate(SENTENCES * 2)))
    words = ["train", "smollm2-135m", "-q", log, "-o", tmp_path / "run", "--backbone", llama, "--teacher", tiny_teacher]
    words += ["--steps", 2, "--batch", 4, "--set", "response.max_new_tokens=4", "--answers", 32, *TINY_LLM_WORDS]
    code, text, errors = genzoo(*words, "--json")
    assert code == 0, errors
    kept = json.loads(text)["controls"]
    assert (kept["n"], kept["others"]) == (3, 2)
    code, text, errors = genzoo("controls", tmp_path / "run", "--json", "--save")
    assert code == 0, errors
    found = json.loads(text)
    assert found.pop("teacher") == str(tiny_teacher)
    assert found.pop("recon_gap") == pytest.approx(kept["recon_shuffled"] - kept["recon_own"], abs=1e-5)
    assert found == pytest.approx(kept, abs=1e-5)
    code, text, _ = genzoo("controls", tmp_path / "run", "-n", 2)
    assert code == 0
    assert "held-out queries" in text
    assert "against 1 others" in text
    # of a query that is answered twice one response counts, and what was trained on is named
    rows = [json.loads(line) for line in (tmp_path / "run" / "held-out.jsonl").read_text().splitlines()]
    again = tmp_path / "again.jsonl"
    trained = (tmp_path / "run" / "responses.jsonl").read_text().splitlines()[0]
    rows = [json.loads(trained), *rows, rows[-1] | {"response": "another answer"}]
    again.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, text, errors = genzoo("controls", tmp_path / "run", "--held-out", again, "--json")
    assert code == 0, errors
    assert json.loads(text)["n"] == 4
    assert "answers 1 of its queries again" in errors
    assert "the model was trained on 1 of these 4 queries" in errors
    code, _, errors = genzoo("controls", tmp_path / "run" / "checkpoint")
    assert code == 1
    assert "held-out.jsonl does not exist: give --held-out" in errors
    assert all(teacher_of(name) == get_entry(name).teacher for name in list_models())
    code, _, errors = genzoo("controls", "smollm2-135m", "--save")
    assert code == 1
    assert "--save needs a folder" in errors


def test_doubtful_logs_are_told_before_anything_is_made(genzoo, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("".join(f"{number}\twhat is number {number}\n" for number in range(300)))
    code, text, errors = genzoo("train", "smollm2-135m", "-q", log, "--dry-run")
    assert code == 0
    assert "300, of which" in text
    assert "300 of 300 lines look like tab-separated records (line 1:" in errors
    (tmp_path / "log.csv").write_text("query\nwhat is wine, or tea\n")
    code, text, errors = genzoo("study", "ablation-small", "-q", tmp_path / "log.csv")
    assert (code, text) == (1, "")
    assert "log.csv, line 2: the row has 2 cells, the heading has 1" in errors


def test_responses_made_otherwise_are_refused(genzoo, log, llama, tiny_teacher, tmp_path):
    words = ["smollm2-135m", "-q", log, "--column", "searched", "--backbone", llama]
    words += ["--set", "response.max_new_tokens=3", *TINY_LLM_WORDS]
    other = ["--set", "response.repetition_penalty=1.5"]
    code, _, errors = genzoo("responses", *words, "-o", "made")
    assert code == 0, errors
    for run in (
        ["responses", *words, *other, "-o", "made"],
        ["train", *words, *other, "--teacher", tiny_teacher, "-o", "made"],
    ):
        code, _, errors = genzoo(*run)
        assert code == 1
        assert "made with another setting (repetition penalty 1.0, now 1.5)" in errors
    made = ["--responses", "made/responses.jsonl", "--teacher", tiny_teacher, "-o", "run"]
    code, _, errors = genzoo("targets", *words, *other, *made)
    assert code == 1
    assert "repetition penalty 1.0, now 1.5): give the settings they were made with" in errors
    assert not list((tmp_path / "run").rglob("*.jsonl"))
    code, _, errors = genzoo("targets", *words, "--steps", 2, "--batch", 2, *made)
    assert code == 0, errors
    assert "nothing says" not in errors
    path = tmp_path / "made" / "responses.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"response": "another answer"}) + "\n")
    code, _, errors = genzoo("targets", *words, *made[:-1], "other")
    assert code == 1
    assert f"answers {row['query']!r} twice, with different responses" in errors


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "smollm2-135m", "-q", "{log}"], "columns searched, day: one must be named query"),
        (["train", "smollm2-135m", "-q", "{log}", "--column", "x"], "has no column 'x'"),
        (["train", "smollm2-135m", "-q", "{log}", "--column", "searched", "--set", "steps"], "write field=value"),
        (["train", "smollm2-135m", "-q", "{log}", "--set", "optim.step=2"], "there is no field 'optim.step'"),
        (
            ["train", "smollm2-135m", "-q", "{log}", "--set", "losses.align=0", "--set", "losses.recon=0"],
            "both losses are off",
        ),
        (["responses", "smollm2-135m", "-q", "{log}", "--shard", "3/2"], "is not a shard"),
        (["study", "nope", "-q", "{log}"], "unknown study 'nope'"),
        (["train", "smollm2-135m", "-q", "{log}", "--set", "losses.recon_share=1.5"], "goes from above 0 to 1"),
        (["train", "smollm2-135m", "-q", "{log}", "--set", "optim.lr_rows=nan"], "optim.lr_rows is nan"),
        (["responses", "smollm2-135m", "-q", "{log}", "--set", "response.top_p=2"], "response.top_p is 2.0"),
        (["teacher", "smollm2-135m", "-q", "{log}", "--seed", "-1"], "seed is -1"),
        (["targets", "smollm2-135m", "-q", "{log}", "--set", "held_out=-1"], "held_out is -1"),
        (["study", "ablation", "-q", "{log}", "--column", "searched", "-t", "NoSuchTask"], "NoSuchTask"),
        (["study", "nope.json", "-q", "{log}"], "nope.json is missing: expected a JSON object with recipe"),
    ],
)
def test_bad_input_is_one_clear_error(genzoo, log, words, told, tmp_path):
    code, text, errors = genzoo(*(word.format(log=log) for word in words))
    assert code == 1
    assert errors.count("error:") == 1
    assert told in errors
    assert text == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv"]


def test_a_device_that_there_is_not_is_one_clear_error(genzoo):
    for words in (["decode", "hello"], ["evaluate", "-m", "minilm", "-t", "GenZooMiniSTS", "--plan"]):
        code, text, errors = genzoo(*words, "--device", "nosuch")
        assert (code, text) == (1, "")
        assert "error: there is no device 'nosuch' on this machine" in errors
    code, _, errors = genzoo("decode", "", "--device", "cpu")
    assert "a text is empty" in errors
