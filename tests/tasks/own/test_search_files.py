"""Tables of queries, passages and grades: equal texts are one, and one id has one text."""

import pytest

from genzoo.errors import InputError
from genzoo.tasks.own.opening import open_data

ROWS = "query,passage,grade\nwhere is Rome,in Italy,1\nwhere is Rome,in France,0\nwhere is Paris,in France,2\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_equal_texts_are_one(write):
    made = open_data(write(ROWS))
    assert made.tables["corpus"].to_pydict() == {
        "id": ["d1", "d2"],
        "title": ["", ""],
        "text": ["in Italy", "in France"],
    }
    assert made.tables["queries"].to_pydict() == {"id": ["q1", "q2"], "text": ["where is Rome", "where is Paris"]}
    assert made.judgements == {"test": {"q1": {"d1": 1, "d2": 0}, "q2": {"d2": 2}}}
    assert made.data.candidates is None
    assert open_data(write(ROWS), kind="reranking").data.candidates == {"q1": ["d1", "d2"], "q2": ["d2"]}


def test_ids_and_titles_of_the_table_are_kept(write):
    made = open_data(write("qid,query,docid,title,passage,grade\n7,a,x,t,b,1\n7,a,y,u,b,0\n8,c,x,t,b,1\n"))
    assert made.tables["corpus"].to_pydict() == {"id": ["x", "y"], "title": ["t", "u"], "text": ["b", "b"]}
    assert made.judgements == {"test": {"7": {"x": 1, "y": 0}, "8": {"x": 1}}}


def test_a_split_of_the_table_is_chosen(write):
    path = write("query,passage,grade,split\na,b,1,train\nc,d,1,test\ne,f,1,dev\n")
    assert open_data(path).tables["corpus"]["text"].to_pylist() == ["d"]
    assert open_data(path, split="dev").judgements == {"dev": {"q1": {"d1": 1}}}
    with pytest.raises(InputError, match="of the split valid; it holds train, test, dev: choose one with --split"):
        open_data(path, split="valid")


def test_without_grades_every_row_counts_and_a_note_says_so(write):
    made = open_data(write("question,answer\na,b\nc,d\n"))
    assert made.judgements == {"test": {"q1": {"d1": 1}, "q2": {"d2": 1}}}
    (note,) = made.notes
    assert note.code == "no-grades"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROWS + "where is Rome,in Italy,2\n", "line 5: this query and passage have the grade 2, on line 2 1"),
        (ROWS + "where is Rome,,2\n", "line 5: the passage has no text"),
        (ROWS + " ,x,2\n", "line 5: the query has no text"),
        (ROWS + "x,y,good\n", "line 5: 'grade' is \"good\": a whole number is expected"),
        ("query,passage,grade\na,b,0\n", "names no relevant document"),
        ("query,docid,passage\na,1,b\na,1,c\n", "line 3: the passage '1' has another text on an earlier line"),
        ("qid,query,passage\n1,a,b\n1,c,d\n", "line 3: the query '1' has another text on an earlier line"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(write, text, message):
    with pytest.raises(InputError, match=message):
        open_data(write(text))
