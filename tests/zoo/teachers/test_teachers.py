"""Teachers: by key, by folder, by their name on the Hub; and the verb that fetches them and the frozen LLMs."""

import pytest

import genzoo
from genzoo.errors import BackboneError, UnknownNameError
from genzoo.recipes.recipes import UNSUPERVISED
from genzoo.teachers.teachers import TEACHERS, fetch_teacher, pin_teacher

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_folder_is_its_own_teacher(tiny_teacher, tmp_path):
    assert fetch_teacher(str(tiny_teacher)) == tiny_teacher
    with pytest.raises(BackboneError, match=r"is no SentenceTransformer folder: it has no modules\.json"):
        fetch_teacher(str(tmp_path))


@pytest.mark.parametrize("name", ["minilmm", "./org/name", "a/b/c", ""])
def test_an_unknown_name_says_what_works(name):
    with pytest.raises(UnknownNameError, match=f"unknown teacher.*org/name@commit on the Hub, or {UNSUPERVISED}"):
        fetch_teacher(name)


def test_only_names_on_the_hub_are_pinned(tiny_teacher):
    for name in (*TEACHERS.names(), UNSUPERVISED, str(tiny_teacher), "./org/name", f"org/name@{COMMIT}"):
        assert pin_teacher(name) == name


def test_fetch_takes_one_name_or_several(llama, tiny_teacher, monkeypatch, capfd):
    assert genzoo.fetch(str(llama)) == {str(llama): llama}
    monkeypatch.setattr("genzoo.teachers.teachers.fetch_teacher", lambda name, *_: tiny_teacher)
    assert genzoo.fetch(["minilm", str(llama)]) == {"minilm": tiny_teacher, str(llama): llama}
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UnknownNameError, match="unknown backbone 'smollm'"):
        genzoo.fetch("smollm")
