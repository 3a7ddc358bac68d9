"""`genzoo check`: what is printed, and the exit codes that CI goes by."""

import json

import pytest


@pytest.fixture(autouse=True)
def _no_models(tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pairs(tmp_path):
    """A sound set of pairs with a similarity."""
    words = "delivery parcel refund invoice password printer contract address".split()  # noqa: SIM905 - as it is read
    rows = [
        f"{words[n % 8]} number {n} is late,where is {words[(n + 3) % 8]} of order {n * 7},{n % 6}" for n in range(120)
    ]
    path = tmp_path / "pairs.csv"
    path.write_text("sentence1,sentence2,score\n" + "\n".join(rows))
    return path


def test_ready_is_0(genzoo, pairs):
    code, text, _ = genzoo("check", pairs)
    assert code == 0
    assert "pairs: STS, revision " in text
    assert "120 rows in test" in text
    assert text.splitlines()[-2:] == ["ready", f"Next: genzoo evaluate -m MODEL -t {pairs}"]


def test_with_care_is_1(genzoo, pairs):
    pairs.write_text("".join(f"{line}\n" for line in pairs.read_text().splitlines()[:20]))
    code, text, _ = genzoo("check", pairs)
    assert code == 1
    assert "! only 19 rows in test" in text
    assert "usable with care, because only 19 rows in test" in text


def test_cannot_be_measured_is_2(genzoo, pairs):
    pairs.write_text("sentence1,sentence2,score\na,b,good\n")
    code, text, _ = genzoo("check", pairs)
    assert code == 2
    assert text.startswith("cannot be measured, because ")
    assert "line 2" in text
    assert "Next:" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "there is no file or folder nothing"),
        (["pairs.csv", "-m", "no-such-model"], "no tokenizer is known"),
        (["pairs.csv", "--columns", "colour=x"], "the roles are"),
    ],
)
def test_what_cannot_be_checked_is_2(genzoo, pairs, words, said):
    code, text, error = genzoo("check", *words)
    assert (code, text) == (2, "")
    assert said in error


def test_json_holds_everything(genzoo, pairs, tiny_teacher):
    code, text, _ = genzoo("check", pairs, "--json", "-m", tiny_teacher)
    found = json.loads(text)
    assert (code, found["exit_code"], found["verdict"], found["kind"]) == (0, 0, "ready", "STS")
    assert found["lengths"][0]["n_texts"] == 240
    assert found["languages"][0]["part"] == "texts"
    assert {each["code"] for each in found["findings"]} >= {"scores", "languages"}


def test_a_table_of_lengths_is_printed(genzoo, pairs, tiny_teacher):
    _, text, _ = genzoo("check", pairs, "-m", tiny_teacher, "-m", "bm25")
    lines = text.splitlines()
    place = lines.index("model\tpart\tmedian\t95 %\tlongest\treads\tcut")
    assert lines[place + 1].split("\t")[:2] == [str(tiny_teacher), "texts"]
    assert lines[place + 2].startswith("Lengths in tokens.")


def test_a_good_log_is_ready_to_pool(genzoo, tmp_path):
    (tmp_path / "log.txt").write_text("how do I reset my password\nwhere is my parcel\n")
    code, text, _ = genzoo("check", "log.txt")
    assert code == 0
    assert "log.txt: query log" in text
    verdict, following = text.splitlines()[-2:]
    assert verdict.startswith("ready to pool: queries without passages and judgements. Pool them")
    assert following == "Next: genzoo pool --queries log.txt --corpus PASSAGES -m minilm -m bm25"
    assert text.count("queries without passages") == 1


def test_a_log_with_cautions_is_ready_to_pool_and_names_them(genzoo, tmp_path):
    (tmp_path / "log.csv").write_text("n,query\n1,where is my parcel\n2,reset my password\n3,\n")
    code, text, _ = genzoo("check", "log.csv")
    assert code == 0
    assert "! 1 of 3 (33.3 %) rows hold no query" in text
    assert text.splitlines()[-2].startswith("ready to pool: queries without passages")
    assert text.splitlines()[-2].endswith("; 1 of 3 (33.3 %) rows hold no query")


def test_a_log_without_a_query_cannot_be_measured(genzoo, tmp_path):
    (tmp_path / "log.csv").write_text("query,n\n,1\n,2\n")
    code, text, _ = genzoo("check", "log.csv")
    assert code == 2 and "Next:" not in text


def test_hostile_texts_command_no_terminal(genzoo, tmp_path):
    rows = [f"{'same text with esc'} \x1b[31m,l{n % 2}\n" for n in range(120)]
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(rows))
    code, text, _ = genzoo("check", "t.csv", "--kind", "clustering")
    assert code == 1
    assert "\x1b[31m" not in text
