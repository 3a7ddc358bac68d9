"""The commands on models: what they print, and what the shell completes."""

import json
import os
import subprocess
import sys

import pytest
from conftest_builders import build_checkpoint


@pytest.fixture(scope="module")
def checkpoint(llama, tmp_path_factory):
    return build_checkpoint(llama).save(tmp_path_factory.mktemp("cli") / "tiny")


def test_list_and_show(genzoo, checkpoint):
    assert "smollm2-135m" in genzoo("list", "--recipes")[1]
    rows = json.loads(genzoo("list", "--backbones", "--json")[1])
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in {row["hub id"] for row in rows}
    assert json.loads(genzoo("list", "nothing*", "--json")[1]) == []
    shown = json.loads(genzoo("show", checkpoint, "--json")[1])
    assert shown["trained tokens"] == "0 thought + 4 compression"
    assert len(shown["checkpoint digest"]) == 40
    said = genzoo("show", "smollm2-135m")[1]
    assert "held-out queries: 200" in said
    assert "{" not in said


def test_a_listing_that_is_piped_is_a_line_each(genzoo):
    lines = genzoo("list", "--backbones")[1].splitlines()
    rows = json.loads(genzoo("list", "--backbones", "--json")[1])
    assert [line.split("\t") for line in lines] == [[str(cell) for cell in row.values()] for row in rows]
    assert "minilm (genzoo list --teachers), and the baselines bm25 and random" in genzoo("list")[2]
    assert genzoo("list", "--teachers")[2] == ""
    code, text, notes = genzoo("list", "nothing*")
    assert (code, text, notes) == (0, "", "note: nothing matches 'nothing*'")
    code, text, notes = genzoo("--quiet", "list", "nothing*")
    assert (code, text, notes) == (0, "", "")
    assert genzoo("list", "nothing*", "--quiet") == (code, text, notes)  # wherever it is put
    code, _, errors = genzoo("--quiet", "--verbose", "list")
    assert code == 1
    assert "error: --quiet and --verbose" in errors


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("genzoo mod", {"model-meta"}),
        ("genzoo show smollm2", {"smollm2-135m", "smollm2-135m-minilm"}),
        ("genzoo train gem", {"gemma3-270m"}),
        ("genzoo fetch mini", {"minilm"}),
        ("genzoo study abl", {"ablation", "ablation-small"}),
    ],
)
def test_the_shell_completes_commands_and_names(words, wanted):
    place = {"_GENZOO_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['genzoo']; from genzoo.cli import main; main()"],
        env=os.environ | place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert set(done.stdout.split()) == wanted, done.stderr


def test_decode_prints_text_and_lens(genzoo, checkpoint):
    code, text, _ = genzoo("decode", "-m", checkpoint, "--tokens", 5, "where do foxes live", "the river bank")
    assert code == 0
    assert "where do foxes live" in text
    assert "the river bank" in text
    code, text, _ = genzoo("decode", "-m", checkpoint, "--tokens", 5, "--json", "where do foxes live")
    (row,) = json.loads(text)
    assert row["text"] == "where do foxes live"
    assert len(row["logit_lens"]) == 4
    assert all(len(words) == 5 for words in row["logit_lens"])


def test_export_and_show_again(genzoo, checkpoint, tmp_path):
    assert genzoo("export", checkpoint, "small")[0] == 0
    assert genzoo("export", checkpoint, "whole", "--merge")[0] == 0
    assert (tmp_path / "small" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "whole" / "model.safetensors").is_file()


def test_explain_shows_ranks_readings_and_the_verdict(genzoo, checkpoint):
    words = (
        "explain",
        "-m",
        checkpoint,
        "--tokens",
        4,
        "--device",
        "cpu",
        "where do foxes live",
        "the river bank",
        "foxes live in dens",
    )
    code, text, errors = genzoo(*words, "--right", 1)
    assert code == 0, errors
    lines = text.splitlines()
    assert lines[0] == "where do foxes live"
    assert [line[0] for line in lines if line[:2] in ("1.", "2.")] == ["1", "2"]
    assert text.count("  reads  ") == text.count("  lens   ") == 3
    assert text.count("(should have won)") == 1
    assert lines[-1] == "It won." or lines[-1].startswith("Number 2 won by 0.")
    found = json.loads(genzoo(*words, "--json")[1])
    assert [row["rank"] for row in found["documents"]] == [1, 2]
    code, text, errors = genzoo(*words, "--right", 3)
    assert (code, text) == (1, "")
    assert "right is 3, but there are 2 documents" in errors
