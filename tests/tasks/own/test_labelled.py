"""Pairs and labelled texts: which split is measured, what labels may be, and what no score can be made of."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genzoo.errors import InputError
from genzoo.tasks.own.opening import open_data


@pytest.fixture
def write(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text)
        return tmp_path if len(files) > 1 else tmp_path / f"{next(iter(files))}.csv"

    return write


PAIRS = "sentence1,sentence2,score\na,b,1.5\nc,d,-2\n"
TEXTS = "text,label\na,x\nb,y\nc,x\n"


def test_similarities_are_numbers_and_their_range_is_told(write):
    made = open_data(write(pairs=PAIRS))
    assert (made.kind, made.splits, made.data.n_texts, made.data.n_characters) == ("STS", ("test",), 4, 4)
    assert made.data.settings() == {"min_score": -2, "max_score": 1.5}
    assert made.tables["test"].to_pydict() == {"sentence1": ["a", "c"], "sentence2": ["b", "d"], "score": [1.5, -2.0]}


@pytest.mark.parametrize("labels", [(1, 0), ("true", "False"), ("yes", "no"), (1.0, 0.0)])
def test_pairs_match_or_do_not(write, labels):
    path = write(pairs=f"text1,text2,match\na,b,{labels[0]}\nc,d,{labels[1]}\n")
    if isinstance(labels[0], float):
        pq.write_table(
            pa.table({"text1": ["a", "c"], "text2": ["b", "d"], "match": labels}), path.with_suffix(".parquet")
        )
        path = path.with_suffix(".parquet")
    assert open_data(path).tables["test"]["labels"].to_pylist() == [1, 0]


def test_labels_become_numbers_in_the_order_of_their_names(write):
    made = open_data(write(train="text,label\na,y\nb,x\n", test=TEXTS))
    assert (made.kind, made.splits, list(made.tables)) == ("Classification", ("test",), ["train", "test"])
    loaded = made.data.loaded("default")
    assert loaded["train"].to_dict() == {"text": ["a", "b"], "label": [1, 0]}
    assert loaded["test"]["label"] == [0, 1, 0]


def test_without_a_split_to_train_on_it_is_cross_validated(write):
    made = open_data(write(mine=TEXTS), kind="classification")
    assert made.data.settings() == {"is_cross_validation": True, "train_split": "test"}
    assert [note.code for note in made.notes] == ["cross-validation"]
    assert open_data(write(mine=TEXTS), kind="clustering").data.settings() == {
        "max_fraction_of_documents_to_embed": None
    }


def test_the_split_is_chosen_or_asked_for(write):
    folder = write(train=TEXTS, dev=TEXTS, validation=TEXTS)
    with pytest.raises(
        InputError, match="holds the splits dev, train, validation: choose one of dev, validation with --split"
    ):
        open_data(folder)
    made = open_data(folder, split="dev")
    assert (made.splits, list(made.tables)) == (("dev",), ["train", "dev"])
    assert "measured on dev; validation is there too" in made.notes[0]
    (folder / "test.csv").write_text(TEXTS)
    assert open_data(folder).splits == ("test",)


def test_splits_may_be_a_column(write):
    made = open_data(write(mine="text,label,split\na,x,train\nb,y,train\nc,x,test\nd,y,test\n"))
    assert {split: table["text"].to_pylist() for split, table in made.tables.items()} == {
        "train": ["a", "b"],
        "test": ["c", "d"],
    }


def test_labels_that_were_never_seen_are_noted(write):
    (note,) = open_data(write(train=TEXTS, test=TEXTS + "d,z\n")).notes
    assert note.endswith("1 label of test without an example in train ('z'): 1 text cannot be right")
    assert (note.code, note.affected, note.total) == ("unseen-labels", 1, 4)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"a": "sentence1,sentence2,score\na,b,high\n"}, {}, "line 2: 'score' is 'high': a number is expected"),
        ({"a": "sentence1,sentence2,score\na,b,nan\n"}, {}, "line 2: 'score' is 'nan': a number is expected"),
        ({"a": "sentence1,sentence2,score\na,b,1\nc,d,1\n"}, {}, "every row of test has the label 1.0"),
        ({"a": "sentence1,sentence2,score\na,,1\n"}, {}, "line 2: 'sentence2' is empty"),
        ({"a": "sentence1,sentence2,label\na,b,0.7\n"}, {}, "line 2: 'label' is '0.7': expected 1 or 0.*--kind similarity"),
        ({"a": "text,label\na,x\nb,\n"}, {"kind": "clustering"}, "line 3: 'label' is \"\""),
        ({"a": "text,label\na,x\nb,x\n"}, {"kind": "clustering"}, "every row of test has the label 'x'"),
        ({"train": "text,label\na,x\n", "test": TEXTS}, {}, "train has examples of one label alone"),
        ({"train": TEXTS, "test": TEXTS}, {"split": "dev"}, "holds the splits test, train: choose one of test with --split"),
    ],
)  # fmt: skip
def test_what_no_score_can_be_made_of_is_refused(write, files, options, message):
    with pytest.raises(InputError, match=message):
        open_data(write(**files), **options)


def test_the_revision_depends_on_files_and_how_they_are_read(write):
    path = write(mine=TEXTS)
    revisions = {open_data(path, kind=kind).revision for kind in ("clustering", "classification")}
    path.write_text(TEXTS + "d,y\n")
    assert len(revisions | {open_data(path, kind="clustering").revision}) == 3
