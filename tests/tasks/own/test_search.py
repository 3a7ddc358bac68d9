"""A folder of one's own: checked whole before a model is loaded, and measured as a task of its own."""

import doctest
import gzip
import json
import re

import mteb
import pytest

from genzoo import tables
from genzoo.errors import InputError
from genzoo.tasks import evaluate
from genzoo.tasks.own import choices, search
from genzoo.tasks.own.choices import from_folder, is_own, with_chosen_data
from genzoo.tasks.request import PlannedTask, Request
from genzoo.tasks.sets.bundled import GenZooMiniRetrieval

CORPUS = [{"_id": f"d{n}", "title": "", "text": f"{word} grows in the garden"} for n, word in enumerate(["rice", "mint", "corn", "kale"])]  # fmt: skip
QUERIES = [{"_id": f"q{n}", "text": f"where does {word} grow"} for n, word in enumerate(["rice", "mint", "corn"])]
QRELS = [{"query-id": f"q{n}", "corpus-id": f"d{n}", "score": 1} for n in range(3)]
BEIR = "query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t1\nq2\td2\t1\n"


@pytest.fixture
def write(tmp_path):
    """Writes a folder; each part is rows, or the text of the file, or None for no file."""

    def write(name="mine", corpus=CORPUS, queries=QUERIES, qrels=QRELS, **files):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for part, rows in (
            ("corpus.jsonl", corpus),
            ("queries.jsonl", queries),
            ("qrels.jsonl", qrels),
            *files.items(),
        ):
            if rows is not None:
                text = rows if isinstance(rows, (str, bytes)) else "".join(json.dumps(row) + "\n" for row in rows)
                path = folder / part
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder

    return write


def read(folder, task=None):
    """The task over a folder, and its notes."""
    notes = []
    made = from_folder(task or GenZooMiniRetrieval(), folder, on_note=notes.append)
    return made, notes


def changed(rows, place, **cells):
    return [row | cells if number == place else row for number, row in enumerate(rows)]


def table(*rows):
    return "query-id\tcorpus-id\tscore\n" + "".join("\t".join(row) + "\n" for row in rows)


# Each case is one thing wrong; the error names file, line and field, and what is allowed.
WRONG = {
    "half a grade": ({"qrels": changed(QRELS, 1, score=0.8)}, r"qrels.jsonl, line 2: 'score' is 0.8: .* whole numbers"),
    "half a grade in a table": ({"qrels": None, "qrels/test.tsv": BEIR + "q0\td1\t0.5\n"}, r"test.tsv, line 5: .*0\.5"),
    "grade in words": ({"qrels": changed(QRELS, 0, score="high")}, r"line 1: 'score' is \"high\""),
    "grade true": ({"qrels": changed(QRELS, 0, score=True)}, r"line 1: 'score' is true: a whole number"),
    "grade null": ({"qrels": changed(QRELS, 0, score=None)}, r"line 1: 'score' is null"),
    "grade NaN": ({"qrels": changed(QRELS, 0, score=float("nan"))}, r"line 1: 'score' is NaN"),
    "grade infinite": ({"qrels": changed(QRELS, 0, score=float("inf"))}, r"line 1: 'score' is Infinity"),
    "grade of 400 digits": ({"qrels": changed(QRELS, 0, score=10**400)}, r"line 1: 'score' is 1000.*between"),
    "a time for a grade": ({"qrels": changed(QRELS, 0, score=1_700_000_000)}, r"line 1: .*between -1,000,000 and"),
    "two grades of one pair": ({"qrels": [*QRELS, QRELS[0] | {"score": 2}]}, r"line 4: .*'q0' and .*'d0' .*line 1"),
    "no document relevant": ({"qrels": [row | {"score": 0} for row in QRELS]}, r"names no relevant document"),
    "repeated documents": (
        {"corpus": [CORPUS[1], *CORPUS, CORPUS[1]]},
        r"corpus.jsonl: the id 'd1' stands on lines 1, 3 and 6",
    ),
    "repeated queries": ({"queries": [*QUERIES, QUERIES[0]]}, r"queries.jsonl: the id 'q0' stands on lines 1 and 4"),
    "1 beside '1'": ({"corpus": [*CORPUS, {"_id": 1, "text": "a"}, {"_id": "1", "text": "b"}]}, "lines 5 and 6"),
    "id null": ({"corpus": changed(CORPUS, 2, _id=None)}, r"corpus.jsonl, line 3: '_id' is null"),
    "id NaN": ({"corpus": changed(CORPUS, 2, _id=float("nan"))}, r"corpus.jsonl, line 3: '_id' is NaN"),
    "id true": ({"queries": changed(QUERIES, 0, _id=True)}, r"queries.jsonl, line 1: '_id' is true"),
    "id empty": ({"queries": changed(QUERIES, 0, _id=" ")}, r"queries.jsonl, line 1: '_id' is \" \""),
    "id a list": ({"qrels": changed(QRELS, 1, **{"corpus-id": ["d1"]})}, r"qrels.jsonl, line 2: 'corpus-id' is \["),
    "text null": ({"corpus": changed(CORPUS, 3, text=None)}, r"corpus.jsonl, line 4: 'text' is null: a text"),
    "text a number": ({"queries": changed(QUERIES, 1, text=7)}, r"queries.jsonl, line 2: 'text' is 7"),
    "title a list": ({"corpus": changed(CORPUS, 0, title=["a"])}, r"corpus.jsonl, line 1: 'title' is"),
    "query without text": ({"queries": changed(QUERIES, 1, text="  ")}, r"queries.jsonl, line 2: the query has no text"),
    "text under another name": ({"corpus": [{"_id": "d0", "title": "t", "inhalt": "b"}]}, r"corpus.jsonl has no column for the passage .*it has _id, title, inhalt\. Name it: --columns passage=NAME"),
    "documents that do not meet": (
        {"qrels": [row | {"corpus-id": row["corpus-id"] + "-0"} for row in QRELS]},
        r"no id in common: 'corpus-id' is such as 'd0-0', the ids of corpus.jsonl are such as 'd0'",
    ),
    "queries that do not meet": ({"queries": [{"_id": "x", "text": "a"}]}, r"no id in common: 'query-id'"),
    "decimal ids": (
        {
            "corpus": [{"_id": n, "text": "a"} for n in range(3)],
            "qrels": [{"query-id": f"q{n}", "corpus-id": float(n), "score": 1} for n in range(3)],
        },
        r"no id in common: 'corpus-id' is such as '0.0', the ids of corpus.jsonl are such as '0'",
    ),
    "one decimal id": (
        {"corpus": [*CORPUS, {"_id": 7, "text": "a"}], "qrels": [*QRELS, QRELS[0] | {"corpus-id": 7.0}]},
        r"qrels.jsonl, line 4: 'corpus-id' is '7.0', corpus.jsonl has '7'",
    ),
    "id with a space": ({"qrels": changed(QRELS, 1, **{"query-id": "q1 "})}, r"line 2: 'query-id' is 'q1 ', .* has 'q1'"),
    "only the irrelevant meet": (
        {"qrels": [*(row | {"corpus-id": "gone"} for row in QRELS), QRELS[0] | {"score": 0}]},
        r"no document with a grade above 0 is in corpus.jsonl",
    ),
    "empty corpus": ({"corpus": ""}, r"corpus.jsonl holds no rows"),
    "empty queries": ({"queries": "\n\n"}, r"queries.jsonl holds no rows"),
    "empty judgements": ({"qrels": ""}, r"qrels.jsonl holds no rows"),
    "heading alone": ({"qrels": None, "qrels/test.tsv": "query-id\tcorpus-id\tscore\n"}, r"test.tsv holds no rows"),
    "no queries": ({"queries": None}, r"holds no queries.jsonl: expected corpus.jsonl"),
    "no judgements": ({"qrels": None}, r"holds no judgements .qrels.jsonl or qrels/test.tsv"),
    "an array": ({"corpus": json.dumps(CORPUS, indent=1)}, r"corpus.jsonl, line 1: no JSON object .*one JSON array"),
    "an array on one line": ({"corpus": json.dumps(CORPUS)}, r"corpus.jsonl, line 1: no JSON object but \["),
    "cut off": ({"corpus": json.dumps(CORPUS[0]) + '\n{"_id": "d'}, r"corpus.jsonl, line 2: no JSON object"),
    "half a character": ({"corpus": '{"_id": "a", "text": "\\ud83d"}'}, r"corpus.jsonl, line 1: no JSON object"),
    "Latin-1": ({"corpus": '{"_id": "a", "text": "x"}\n{"_id": "b", "text": "café"}'.encode("latin-1")}, r"line 2: .*UTF-8"),
    "UTF-16": ({"corpus": json.dumps(CORPUS[0]).encode("utf-16")}, r"corpus.jsonl, line 1: not UTF-8 text"),
    "damaged gzip": ({"corpus": None, "corpus.jsonl.gz": gzip.compress(b"{}" * 99)[:-9]}, r"corpus.jsonl.gz cannot be read"),
    "table without heading": ({"qrels": None, "qrels/test.tsv": "q0\td0\t1\nq1\td1\t1\n"}, r"test.tsv has no column for the query-id .*it has q0, d0, 1"),
    "a cell too few": ({"qrels": None, "qrels/test.tsv": BEIR + "q0\td1\n"}, r"test.tsv, line 5: the row has 2 cells, the heading has 3"),
    "other splits": (
        {"qrels": None, "qrels/train.tsv": BEIR, "qrels/dev.tsv": BEIR},
        r"holds judgements for dev, train, but the task is measured on test",
    ),
    "no document has a text": ({"corpus": [row | {"text": ""} for row in CORPUS]}, r"corpus.jsonl: no document has a title or a text"),
    "a corpus twice": ({"corpus.jsonl.gz": gzip.compress(b"{}")}, r"holds corpus.jsonl and corpus.jsonl.gz: keep one"),
    "a split twice": ({"qrels": None, "qrels/test.tsv": BEIR, "qrels/test.jsonl": QRELS}, r"test.jsonl and test.tsv: keep one"),
    "judgements twice": ({"qrels/test.tsv": BEIR}, r"holds its judgements twice, as qrels.jsonl and in qrels/"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_measured_is_one_clear_error(case, write):
    parts, message = WRONG[case]
    with pytest.raises(InputError, match=message) as error:
        read(write(**parts))
    assert "mine" in str(error.value)


# Each case is a folder that means the same as the plain one, or nearly so: it is measured, and a note tells the difference.
RIGHT = {
    "plain": ({}, []),
    "whole grades": ({"qrels": [row | {"score": grade} for row, grade in zip(QRELS, [2.0, "1", 1], strict=True)]}, []),
    "below zero": ({"qrels": [*QRELS, {"query-id": "q0", "corpus-id": "d1", "score": -2}]}, []),
    "the same judgement twice": ({"qrels": [*QRELS, QRELS[0]]}, []),
    "BEIR": ({"qrels": None, "qrels/test.tsv": BEIR}, []),
    "BEIR, line ends and mark of Windows": ({"qrels": None, "qrels/test.tsv": b"\xef\xbb\xbf" + BEIR.replace("\n", "\r\n").encode()}, []),
    "BEIR, a further column": ({"qrels": None, "qrels/test.tsv": "".join(f"{line}\tx\n" for line in BEIR.splitlines())}, []),
    "TREC's judgements": ({"qrels": None, "qrels/test.tsv": "q0\t0\td0\t1\nq1 0 d1 1\nq2 Q0 d2 1\n"}, []),
    "BEIR, compressed": ({"qrels": None, "qrels/test.tsv.gz": gzip.compress(BEIR.encode())}, []),
    "BEIR, one file of another split": ({"qrels": None, "qrels/dev.tsv": BEIR}, []),
    "BEIR, several splits": ({"qrels": None, "qrels/test.tsv": BEIR, "qrels/train.tsv": BEIR}, [r"measured on test; train is there too"]),
    "Windows": ({"queries": b"\xef\xbb\xbf" + "".join(json.dumps(row) + "\r\n" for row in QUERIES).encode()}, []),
    "blank lines": ({"qrels": "\n" + "\n\n".join(json.dumps(row) for row in QRELS) + "\n \n"}, []),
    "numbers for ids": (
        {"corpus": changed(CORPUS, 0, _id=7), "qrels": changed(QRELS, 0, **{"corpus-id": "7"})},
        [],
    ),
    "ids in other scripts": (
        {"corpus": changed(CORPUS, 0, _id="米 1"), "qrels": changed(QRELS, 0, **{"corpus-id": "米 1"})},
        [],
    ),
    "titles alone": ({"corpus": changed(CORPUS, 0, title="rice grows in the garden", text="")}, []),
    "no titles": ({"corpus": [{"_id": row["_id"], "text": row["text"]} for row in CORPUS]}, []),
    "an empty document": ({"corpus": [*CORPUS, {"_id": "e", "title": None, "text": ""}]}, [r"1 of 5 documents have neither .*line 5"]),
    "a missing document": (
        {"qrels": [*QRELS, QRELS[0] | {"corpus-id": "d99"}]},
        [r"1 of 4 judged documents is not in the corpus \('d99'\): counted as not found"],
    ),
    "instructions": (
        {"queries": changed(QUERIES, 1, instruction="in pots only")},
        [r"1 of 3 queries have an 'instruction', which is not read"],
    ),
    "a missing query": ({"qrels": [*QRELS, QRELS[0] | {"query-id": "q99"}]}, [r"1 of 4 judged queries is not in queries.jsonl \('q99'\)"]),
    "queries without judgement": (
        {"queries": [*QUERIES, {"_id": "q7", "text": "b"}, {"_id": "q8", "text": "c"}], "qrels": [*QRELS, QRELS[0] | {"query-id": "q7", "score": 0}]},
        [r"1 of 5 queries are not judged: left out", r"1 of 5 queries have no relevant document in the judgements"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_what_can_be_measured_is_read_and_told(case, write):
    parts, messages = RIGHT[case]
    made, notes = read(write(**parts))
    assert len(notes) == len(messages)
    for note, message in zip(notes, messages, strict=True):
        assert re.search(message, note)
        assert "mine: " in note
    made.load_data()
    (split,) = made.dataset["default"].values()
    assert list(split["queries"]["id"]) == ["q0", "q1", "q2"]
    assert {query for query, grades in split["relevant_docs"].items() if max(grades.values()) > 0} == {"q0", "q1", "q2"}


def test_results_stand_under_a_name_of_their_own(write, make_meta, tmp_path):
    one, two = write("one"), write("two", queries=[row | {"text": row["text"] + "?"} for row in QUERIES])
    tasks = with_chosen_data([GenZooMiniRetrieval()], [f"GenZooMiniRetrieval={folder}" for folder in (one, two)])
    names = [task.metadata.name for task in tasks]
    results = tmp_path / "results"
    found = evaluate([make_meta()], [GenZooMiniRetrieval(), *tasks], results)[0].task_results
    assert len({*names, "GenZooMiniRetrieval"}) == 3
    assert all(is_own(name) and name.startswith("GenZooMiniRetrieval") for name in names)
    assert [result.task_name for result in found] == ["GenZooMiniRetrieval", *names]
    assert [result.dataset_revision for result in found[1:]] == [task.own_data.revision for task in tasks]
    for kind in ("results", "predictions"):
        assert len({path.name for path in (results / kind).rglob("*GenZooMiniRetrieval*.json")}) == 3
    # a second run reuses each of the three
    evaluate([make_meta()], [GenZooMiniRetrieval(), *tasks], results)
    assert make_meta.loads == ["test-org/tiny"]


def test_beir_and_jsonl_give_the_same_score(write, make_meta, tmp_path):
    folders = write("jsonl"), write("beir", qrels=None, **{"qrels/test.tsv": BEIR})
    tasks = [read(folder)[0] for folder in folders]
    one, other = (
        result.scores["test"][0] for result in evaluate([make_meta()], tasks, tmp_path / "out")[0].task_results
    )
    assert one["main_score"] == other["main_score"] > 0


def test_a_query_without_relevant_documents_costs_nothing(write, make_meta, tmp_path):
    more = {"queries": [*QUERIES, {"_id": "q7", "text": "where does kale grow"}], "qrels": [*QRELS, {"query-id": "q7", "corpus-id": "d3", "score": 0}]}  # fmt: skip
    tasks = [read(write("whole"))[0], read(write("more", **more))[0]]
    one, other = (
        result.scores["test"][0] for result in evaluate([make_meta()], tasks, tmp_path / "out")[0].task_results
    )
    assert one["ndcg_at_10"] == other["ndcg_at_10"]


def test_the_model_reads_the_prompt_of_the_official_task(write, make_meta, tmp_path):
    asked = []

    def spy(encode):
        def inner(inputs, *, task_metadata, **kwargs):
            asked.append(task_metadata.name)
            return encode(inputs, task_metadata=task_metadata, **kwargs)

        return inner

    made, _ = read(write())
    evaluate([make_meta(encode=spy)], [made], tmp_path / "out")
    assert set(asked) == {"GenZooMiniRetrieval"}
    assert made.metadata.name != "GenZooMiniRetrieval"
    assert (made.metadata.type, made.metadata.main_score, made.metadata.prompt) == (
        GenZooMiniRetrieval.metadata.type, GenZooMiniRetrieval.metadata.main_score, GenZooMiniRetrieval.metadata.prompt,
    )  # fmt: skip


def test_prompts_by_task_are_found(write):
    folder = write()
    request = Request(("minilm",), tasks=("GenZooMiniRetrieval",), data=(f"GenZooMiniRetrieval={folder}",), prompts="tasks", strict_prompts=True)  # fmt: skip
    grid = request.resolve()
    assert [is_own(task.metadata.name) for task in grid.tasks] == [True]


def test_a_benchmark_with_own_data_is_not_that_benchmark(write):
    notes = []
    request = Request(
        ("minilm",),
        "GenZoo(mini, v1)",
        data=(f"GenZooMiniRetrieval={write(qrels=[*QRELS, QRELS[0] | {'corpus-id': 'd99'}])}",),
    )
    grid = request.resolve(on_note=notes.append)
    assert grid.benchmark_name is None
    assert len(grid.tasks) == 6
    assert len(notes) == 1


def test_the_plan_counts_the_folder(write):
    made, _ = read(write(queries=[*QUERIES, {"_id": "q9", "text": "left out"}]))
    planned = PlannedTask.of(made)
    assert planned.texts == len(CORPUS) + len(QUERIES)
    characters = sum(len(row["text"]) for row in (*CORPUS, *QUERIES))
    assert planned.tokens == pytest.approx(characters / 4, rel=0.5)


def test_reranking_takes_its_candidates(write, make_meta, tmp_path):
    task = mteb.get_task("AskUbuntuDupQuestions")
    with pytest.raises(InputError, match=r"holds no top_ranked.jsonl"):
        from_folder(task, write())
    ranked = [{"query-id": row["_id"], "corpus-ids": ["d3", f"d{n}"]} for n, row in enumerate(QUERIES)]
    for rows, message in (
        (ranked[:2], "no candidates for 1 judged queries, such as 'q2'"),
        (changed(ranked, 1, **{"corpus-ids": ["d1", "d9"]}), "line 2: the candidate 'd9' is not in the corpus"),
        (changed(ranked, 1, **{"corpus-ids": "d1"}), "line 2: 'corpus-ids' must be a list"),
        ([*ranked, ranked[0]], "line 4: the query 'q0' has candidates on an earlier line"),
        (
            [row | {"corpus-ids": ["d3"]} for row in ranked],
            "top_ranked.jsonl: no relevant document of test is among the candidates of its query, so every score would be 0",
        ),
    ):
        with pytest.raises(InputError, match=message):
            from_folder(task, write(**{"top_ranked.jsonl": rows}))
    (note,) = read(write(**{"top_ranked.jsonl": changed(ranked, 1, **{"corpus-ids": ["d3"]})}), task)[1]
    assert "1 of 3 judged queries is without a relevant document in top_ranked.jsonl ('q1'): found by no model" in note
    folder = write(**{"top_ranked.jsonl": ranked})
    made, notes = read(folder, task)
    assert notes == []
    assert "each query ranks its candidates in top_ranked.jsonl" in read(folder)[1][0]
    evaluate([make_meta()], [made], tmp_path / "out")
    (path,) = (tmp_path / "out" / "predictions").rglob("*.json")
    hits = json.loads(path.read_text())["default"]["test"]
    assert {query: set(own) for query, own in hits.items()} == {f"q{n}": {"d3", f"d{n}"} for n in range(3)}


def test_the_cases_of_the_reference_folder(shared):
    """Now and right stand in the README of the cases."""
    cases = shared / "cases" / "own-data"
    for name in ("float", "allmissing", "dupdoc3", "floatids", "nulltext"):
        with pytest.raises(InputError, match=name):
            from_folder(GenZooMiniRetrieval(), cases / name)
    assert [len(read(cases / name)[1]) for name in ("good", "beir", "missingdoc")] == [0, 0, 1]


@pytest.mark.parametrize("module", [tables, choices, search])
def test_doctests(module):
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
