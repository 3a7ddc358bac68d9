"""The whole check, from files to a verdict."""

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import genzoo
from genzoo.errors import InputError

RNG = np.random.default_rng(5)
ENGLISH = """the a my your our this that we they you order parcel refund invoice password printer contract address delivery return payment card bank
    account login screen battery cable keyboard window door kitchen garden summer winter morning evening river mountain children teacher school
    bread water coffee apple green yellow small large quick slow open close send receive write read change cancel confirm explain remember forget
    before after under over between without during again never often sometimes because although while where when which who how many few"""
WORDS = ENGLISH.split()


def _text(n):
    return " ".join(RNG.choice(WORDS, n))


def _write(folder, passages, queries, grades):
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", passages), ("queries", queries)):
        lines = [json.dumps({"_id": key, "text": text}, ensure_ascii=False) for key, text in rows.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "qrels").mkdir(exist_ok=True)
    rows = ["query-id\tcorpus-id\tscore", *(f"{query}\t{passage}\t{grade}" for query, passage, grade in grades)]
    (folder / "qrels/test.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def sound(tmp_path):
    grades = [(f"q{n}", f"d{n + shift}", grade) for n in range(60) for shift, grade in ((0, 2), (10, 0))]
    passages, queries = {f"d{n}": _text(25) for n in range(80)}, {f"q{n}": _text(6) for n in range(60)}
    return _write(tmp_path / "help desk", passages, queries, grades)


@pytest.fixture
def no_models(tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))


def test_a_sound_set_is_ready(sound, tiny_teacher):
    found = genzoo.check(sound, [str(tiny_teacher), "bm25"])
    assert (found.name, found.kind, found.verdict, found.exit_code, found.summary) == (
        "help desk",
        "Retrieval",
        "ready",
        0,
        "ready",
    )
    assert found.sizes == {"passages": 80, "queries": 60, "judgements": 120}
    assert [(row.model, row.part) for row in found.lengths] == [
        (str(tiny_teacher), "passages"),
        (str(tiny_teacher), "queries"),
    ]
    assert len(found.revision) == 40
    assert found.revision == genzoo.open_data(sound).revision


def test_the_data_can_be_given_a_name_as_for_evaluate(sound, no_models):
    assert genzoo.check(f"desk={sound}").name == "desk"
    assert genzoo.check(sound, name="desk").name == "desk"


def test_what_a_named_model_cuts_is_a_caution(sound, tiny_teacher, tmp_path):
    (tmp_path / "short").mkdir()
    (tmp_path / "short/tokenizer.json").write_bytes((tiny_teacher / "tokenizer.json").read_bytes())
    (tmp_path / "short/sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    found = genzoo.check(sound, str(tmp_path / "short"))
    assert found.exit_code == 1
    assert found.summary.startswith(
        "usable with care, because 80 of 80 (100 %) passages are longer than the 20 tokens that"
    )
    assert "of all tokens are not read" in found.summary


def test_a_default_model_cuts_without_a_caution(sound, tiny_teacher, tmp_path, monkeypatch):
    from genzoo.tasks.checking import readers
    from genzoo.tasks.checking.readers import Reader

    monkeypatch.setattr(readers, "_if_on_this_machine", lambda name: Reader(name, tiny_teacher / "tokenizer.json", 20))
    found = genzoo.check(sound)
    assert found.verdict == "ready"
    assert {row.severity for row in found.findings if row.code == "cut"} == {"fact"}


def test_cautions_come_first_and_everything_is_json(sound, no_models):
    with (sound / "corpus.jsonl").open("a") as file:
        file.write((sound / "corpus.jsonl").read_text().splitlines()[0].replace('"d0"', '"copy"') + "\n")
    found = genzoo.check(sound)
    assert found.exit_code == 1
    order = [row.severity for row in found.findings]
    assert order == sorted(order)
    assert "unjudged-twins" in {row.code for row in found.findings if row.severity == "caution"}
    written = json.loads(json.dumps(found.as_dict()))
    assert written["verdict"] == "usable with care"
    assert written["exit_code"] == 1
    assert {"code", "part", "text", "severity", "count", "total", "examples"} == set(written["findings"][0])
    assert list(found.to_frame()["code"]) == [row.code for row in found.findings]
    assert "usable with care, because" in found._repr_html_()


def test_notes_of_the_reader_are_findings(sound, no_models):
    lines = (sound / "queries.jsonl").read_text().splitlines()
    lines[0] = lines[0].replace("}", ', "instruction": "Find a reply"}')
    (sound / "queries.jsonl").write_text("\n".join(lines))
    found = {row.code: row for row in genzoo.check(sound).findings}
    assert found["instructions"].count == 1
    assert not found["instructions"].text.startswith(str(sound))


def test_hostile_ids_do_no_harm_in_a_notebook(tmp_path, no_models):
    passages = {"<script>alert(1)</script>": _text(30), "b": _text(30)}
    passages["copy"] = next(iter(passages.values()))
    folder = _write(tmp_path / "set", passages, {"q": _text(5)}, [("q", "b", 1)])
    found = genzoo.check(folder)
    assert "<script>" not in found._repr_html_()
    assert "<script>" in found.to_frame().to_string()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "queries.jsonl").unlink(), "holds no queries"),
        (lambda folder: (folder / "corpus.jsonl").write_text(""), "holds no rows"),
        (lambda folder: (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": null}\n'), "'text' is null"),
        (
            lambda folder: (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\tgood\n"),
            "'score' is \"good\"",
        ),
        (
            lambda folder: (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nx\ty\t1\n"),
            "no id in common",
        ),
    ],
)
def test_what_cannot_be_read_cannot_be_measured(sound, no_models, spoil, said):
    spoil(sound)
    found = genzoo.check(sound)
    assert (found.verdict, found.exit_code) == ("cannot be measured", 2)
    assert said in found.summary
    assert found.as_dict()["findings"][0]["severity"] == "blocker"
    found._repr_html_()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("log.txt", b"abc\x00def\n", "control characters"),
        ("log.txt", b"word " * 9000, "at most 20,000 are read"),
        ("log.txt", b"", "holds no query"),
        ("pairs.csv", b"query,passage,grade\n", "holds no rows"),
        ("pairs.csv", b"", "holds no rows"),
        ("pairs.csv", b"query,passage,grade\na,b,good\n", "'grade' is"),
        ("pairs.csv", b"query,query,passage\na,b,c\n", "two columns are named 'query'"),
        ("pairs.csv", b"query,passage,grade\na,b,NaN\n", "a whole number is expected"),
        ("pairs.tsv", b"query\tpassage\tgrade\ra\tb\t1\r", "carriage return alone"),
        ("x.docx", b"PK", "cannot be read"),
        ("x.parquet", b"PAR1", "no Parquet file"),
    ],
)
def test_files_that_cannot_be_read_are_told_why(tmp_path, no_models, name, content, said):
    (tmp_path / name).write_bytes(content)
    found = genzoo.check(tmp_path / name)
    assert found.exit_code == 2
    assert said in found.summary


@pytest.mark.parametrize("spoil", ["directory", "broken link", "gone"])
def test_a_folder_without_its_corpus_is_told_so(sound, no_models, spoil):
    corpus = sound / "corpus.jsonl"
    corpus.unlink()
    if spoil == "directory":
        corpus.mkdir()
    elif spoil == "broken link":
        corpus.symlink_to(sound / "nowhere")
    assert "holds no corpus.jsonl" in genzoo.check(sound).summary


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"query": [b"a", b"\xff"], "passage": ["c", "d"], "grade": [1, 0]}, "a text is expected"),
        ({"query": ["a", None], "passage": ["c", "d"], "grade": [1, 0]}, "row 2: 'query' is null"),
        ({"query": ["a", "b"], "passage": ["c", "d"], "grade": [Decimal("1.5"), Decimal("0")]}, "whole numbers"),
        ({"query": ["a", "b"], "passage": ["c", "d"], "grade": [Decimal("1.0"), Decimal("0")]}, ""),
        ({"query": ["a", "b"], "passage": ["c", "d"], "grade": [1.0, float("nan")]}, "a whole number is expected"),
    ],
)
def test_parquet_of_every_type_is_read_or_told(tmp_path, no_models, columns, said):
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")
    found = genzoo.check(tmp_path / "pairs.parquet")
    assert (found.exit_code == 2) == bool(said)
    assert said in found.summary


def test_two_parquet_columns_of_one_name_are_refused(tmp_path, no_models):
    table = pa.Table.from_arrays([pa.array(["a"])] * 3, names=["query", "query", "passage"])
    pq.write_table(table, tmp_path / "pairs.parquet")
    assert "two columns are named 'query'" in genzoo.check(tmp_path / "pairs.parquet").summary


def test_a_query_log_alone_is_checked(tmp_path, no_models):
    (tmp_path / "log.csv").write_text("query\n" + "".join(f"{_text(5)}\n" for _ in range(30)))
    found = genzoo.check(tmp_path / "log.csv")
    assert (found.kind, found.exit_code, found.sizes) == ("query log", 0, {"queries": 30})
    assert found.verdict == "ready to pool" and "genzoo pool --queries" in found.next_command


def test_a_folder_of_texts_alone_is_checked(tmp_path, tiny_teacher):
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(_text(20))
    found = genzoo.check(tmp_path, str(tiny_teacher))
    assert (found.kind, found.exit_code, found.sizes) == ("corpus", 0, {"passages": 5})
    assert "genzoo pool --queries LOG --corpus" in found.next_command
    assert [row.part for row in found.lengths] == ["passages"]


def test_a_search_without_judgements_is_checked_and_judging_comes_next(sound, no_models):
    (sound / "qrels/test.tsv").unlink()
    (sound / "qrels").rmdir()
    found = genzoo.check(sound, "http://127.0.0.1:9/v1#m")  # no server is asked
    assert (found.kind, found.exit_code, found.sizes) == ("search to be judged", 0, {"passages": 80, "queries": 60})
    assert "Pool them and judge next" in found.summary and "genzoo pool --queries" in found.next_command
    assert [(row.model, row.part, row.unit, row.longest, row.room) for row in found.lengths] == [
        ("localhost-9/m", "passages", "words", 25, None),
        ("localhost-9/m", "queries", "words", 6, None),
    ]
    assert [finding.severity for finding in found.findings if finding.code == "no-tokenizer"] == ["fact"]


def test_labelled_texts_are_checked(tmp_path, tiny_teacher):
    rows = [f"{_text(8)},{'ab'[n % 2]},{'train' if n < 40 else 'test'}" for n in range(160)]
    (tmp_path / "intents.csv").write_text("text,label,split\n" + "\n".join(rows))
    found = genzoo.check(tmp_path / "intents.csv", str(tiny_teacher))
    assert (found.kind, found.verdict) == ("Classification", "ready")
    assert found.sizes == {"rows in train": 40, "rows in test": 120}
    assert [row.part for row in found.lengths] == ["texts"]
    pairs = [f"{_text(8)},{_text(8)},{n % 6}" for n in range(120)]
    (tmp_path / "pairs.csv").write_text("sentence1,sentence2,score\n" + "\n".join(pairs))
    found = genzoo.check(tmp_path / "pairs.csv", str(tiny_teacher))
    assert (found.kind, found.verdict) == ("STS", "ready")
    assert found.lengths[0].n_texts == 240


@pytest.mark.parametrize("kind", ["classification", "clustering"])
def test_labels_of_one_text_each_cannot_be_measured(tmp_path, no_models, kind):
    (tmp_path / "topics.csv").write_text("text,label\n" + "".join(f"{_text(8)},l{n}\n" for n in range(12)))
    found = genzoo.check(tmp_path / "topics.csv", kind=kind)
    assert found.exit_code == 2
    assert "a label of its own" in found.summary


def test_wrong_arguments_are_errors_before_anything_is_read(sound, tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        genzoo.check(tmp_path / "nothing")
    with pytest.raises(genzoo.ZooError, match="no tokenizer is known"):
        genzoo.check(sound, "no-such-model")
    with pytest.raises(InputError, match="the roles are"):
        genzoo.check(sound, columns={"colour": "x"})


def test_the_real_models_of_the_zoo_count_real_passages(shared, tmp_path):
    """MiniLM reads 256 tokens: of SciFact's abstracts it cuts 71 %, as a run of its own tokenizer says."""
    if not genzoo.check(_write(tmp_path / "s", {"d": "a b"}, {"q": "a"}, [("q", "d", 1)])).lengths:
        pytest.skip("needs minilm in the cache")
    import gzip

    folder = shared / "data/eval_dev/retrieval/SciFact"
    target = tmp_path / "SciFact"
    target.mkdir()
    for name in ("corpus", "queries", "qrels"):
        (target / f"{name}.jsonl").write_bytes(gzip.decompress((folder / f"{name}.jsonl.gz").read_bytes()))
    found = genzoo.check(target, "minilm")
    (passages,) = (row for row in found.lengths if row.part == "passages")
    assert (passages.n_cut, passages.room, passages.longest) == (3681, 254, 1937)
    assert found.sizes == {"passages": 5183, "queries": 300, "judgements": 339}
    assert found.verdict == "usable with care"
