"""`genzoo doctor`: what is printed, and the exit codes that CI goes by."""

import json

import pytest
from conftest_builders import build_checkpoint


@pytest.fixture
def model(llama, tmp_path):
    return build_checkpoint(llama).save(tmp_path / "model")


@pytest.fixture
def clients(model, tmp_path, monkeypatch):
    """A module of the user's own with a right client and one that loses prompts."""
    (tmp_path / "clients_of_doctor.py").write_text(
        f"import genzoo\nright = genzoo.load({str(model)!r}, device='cpu')\nbare = right.encode\n"
    )
    monkeypatch.chdir(tmp_path)
    return "clients_of_doctor"


def test_right_is_0(genzoo, clients, model):
    code, text, _ = genzoo("doctor", f"{clients}:right", "-m", model)
    assert code == 0
    assert text.splitlines()[-1].startswith("right: 5 queries and 6 documents compared with")
    assert "document\t6\t6\t1.0000\t1.0000" in text


def test_a_fault_is_1(genzoo, clients, model):
    code, text, _ = genzoo("doctor", f"{clients}:bare", "-m", model)
    assert code == 1
    assert text.startswith("x Queries and documents are embedded without their prompt.\n")
    assert text.splitlines()[-1].startswith("wrong: ")
    code, text, _ = genzoo("doctor", f"{clients}:bare", "-m", model, "--json")
    found = json.loads(text)
    assert (code, found["verdict"], found["deviations"][0]["code"]) == (1, "wrong", "prompt-lost")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "there is no folder nothing"),
        (["vectors:nothing"], "there is no such folder"),
        (["no_such_module_here:name"], "cannot be imported (ModuleNotFoundError"),
        (["."], "is no model"),
        (["http://127.0.0.1:1/v1#m"], "no server answers there"),
    ],
)
def test_what_cannot_be_asked_is_2(genzoo, words, said):
    code, text, error = genzoo("doctor", *words)
    assert (code, text) == (2, "")
    assert said in error
