"""What a path holds is found from names and headings, and what is not clear is one error that says how to tell."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genzoo.errors import InputError
from genzoo.tasks.own.columns import Columns
from genzoo.tasks.own.layout import find_layout

CORPUS, QUERIES, QRELS = (
    '{"_id": "d", "text": "a"}',
    '{"_id": "q", "text": "b"}',
    '{"query-id": "q", "corpus-id": "d", "score": 1}',
)


@pytest.fixture
def write(tmp_path):
    """Writes files of some texts into a folder; a list of records becomes Parquet."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, list):
                pq.write_table(pa.Table.from_pylist(content), path)
            else:
                path.write_text(content)
        return tmp_path / "mine"

    return write


SEARCHES = {
    "JSONL": {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels.jsonl": QRELS},
    "BEIR": {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\td\t1\n"},
    "TREC": {"docs.trec": "<DOC><DOCNO>d</DOCNO><TEXT>a</TEXT></DOC>", "topics.301-450.txt": "<top><num> q <title> b </top>", "qrels.trec8.txt": "q 0 d 1\n"},
    "MS MARCO": {"collection.tsv": "d\ta\n", "queries.tsv": "q\tb\n", "qrels.tsv": "q\t0\td\t1\n"},
    "CSV": {"corpus.csv": "doc_id,title,body\nd,t,a\n", "queries.csv": "qid,query\nq,b\n", "qrels.csv": "qid,doc_id,relevance\nq,d,1\n"},
    "Hub": {"corpus/corpus-00000-of-00001.parquet": [json.loads(CORPUS)], "queries/x.parquet": [json.loads(QUERIES)], "qrels/test-00000-of-00001.parquet": [json.loads(QRELS)]},
}  # fmt: skip


@pytest.mark.parametrize("form", SEARCHES)
def test_a_search_in_several_files(write, form):
    found = find_layout(write(SEARCHES[form]))
    assert (found.kind, found.has_corpus, found.is_search) == ("Retrieval", True, True)
    rows = {name.partition("/")[0]: next(iter(table.rows())) for name, table in found.tables.items()}
    said = {
        name: [rows[name].cells[found.tables[place].columns[role]] for role in roles]
        for (name, roles), place in zip(
            {
                "corpus": ["passage-id", "passage"],
                "queries": ["query-id", "query"],
                "qrels": ["query-id", "passage-id"],
            }.items(),
            found.tables,
            strict=True,
        )
    }
    assert said == {"corpus": ["d", "a"], "queries": ["q", "b"], "qrels": ["q", "d"]}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"x.csv": "query,passage,grade\na,b,1\n"}, "Retrieval"),
        ({"train.csv": "text,label\na,b\n", "test.csv": "text,label\na,b\n"}, "Classification"),
        ({"data/train-00000-of-00001.parquet": [{"text": "a", "label": 1}], "data/test-00000-of-00001.parquet": [{"text": "a", "label": 1}]}, "Classification"),
        ({**SEARCHES["JSONL"], "top_ranked.jsonl": '{"query-id": "q", "corpus-ids": ["d"]}'}, "Reranking"),
    ],
)  # fmt: skip
def test_the_kind_is_found(write, files, kind):
    assert find_layout(write(files)).kind == kind


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"x.csv": "text,label\na,b\n"}, {"kind": "similarity"}, "x.csv has no column for the text1 .*it has text, label"),
        ({"x.csv": "text,label\n"}, {}, "x.csv holds no rows"),
        ({"a.csv": "text,label\na,b\n", "b.csv": "text,label\na,b\n"}, {}, "holds a.csv, b.csv: expected one table, or"),
        ({"train.csv": "text,label\n", "train.jsonl": "{}"}, {}, "holds train.csv and train.jsonl for train: keep one"),
        ({"notes.docx": "x"}, {}, "holds no table: expected one table, .*genzoo pool --corpus"),
        ({"corpus.jsonl": CORPUS}, {}, "holds no queries.jsonl: .*Without labels, begin with genzoo pool"),
        ({"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES}, {}, "holds no judgements .qrels.jsonl or qrels/test.tsv.*genzoo pool"),
        (SEARCHES["JSONL"], {"kind": "clustering"}, "can be retrieval or reranking, not Clustering"),
        (SEARCHES["JSONL"], {"kind": "reranking"}, "holds no top_ranked.jsonl, which names the candidates"),
        ({**SEARCHES["JSONL"], "corpus.csv": "id,text\nd,a\n"}, {}, "holds corpus.csv and corpus.jsonl: keep one of them"),
        ({**SEARCHES["JSONL"], "qrels.dev.jsonl": QRELS, "qrels.valid.jsonl": QRELS}, {}, "qrels.dev.jsonl and qrels.valid.jsonl: keep one"),
        (SEARCHES["JSONL"], {"columns": Columns.parse(["query=frage"])}, "--columns query=frage: no table of .* has such a column"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_one_error_that_says_how_to_tell(write, files, options, message):
    folder = write(files)
    path = folder / "x.csv" if (folder / "x.csv").exists() else folder
    with pytest.raises(InputError, match=message):
        find_layout(path, **options)


def test_what_is_no_file_of_a_table_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no file or folder"):
        find_layout(tmp_path / "nowhere")
    (tmp_path / "a.docx").touch()
    with pytest.raises(InputError, match=r"a.docx cannot be read: expected a file that ends with jsonl"):
        find_layout(tmp_path / "a.docx")
