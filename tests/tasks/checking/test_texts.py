import numpy as np
import pyarrow as pa
import pytest

from genzoo.tasks.checking.languages import Languages
from genzoo.tasks.checking.texts import ArrowTexts, empty_finding, find_repeated, language_findings, repeated_findings

RETURN = "You can return any article within thirty days of delivery, free of charge and without giving a reason."
TEXTS = [
    RETURN,
    "Parcels within the country arrive after two working days.",
    RETURN.upper() + "\n",
    RETURN.replace("thirty", "fourteen"),
    "",
    "parcels  within the country arrive after two working days.",
]


def test_repeated_texts_are_found_through_their_copies():
    found = find_repeated(TEXTS)
    assert found.first.tolist() == [0, 1, 0, 3, 4, 1]
    assert found.near.pairs.tolist() == [[0, 3]]
    assert found.partners(np.array([0, 2, 3, 4, 5])) == {0: [2, 3], 2: [0, 3], 3: [0, 2], 5: [1]}
    assert found.partners(np.array([2]), most=1) == {2: [0]}


def test_findings_name_the_texts():
    again, near = repeated_findings(find_repeated(TEXTS), "passages", "d{}".format)
    assert again.sentence == "2 of 6 (33.3 %) passages repeat an earlier one, such as 'd0 = d2' and 'd1 = d5'"
    assert (again.severity, again.count, again.total) == ("caution", 2, 6)
    assert (
        near.sentence
        == "2 of 6 (33.3 %) passages share most of their words with another one (1 group, the largest of 2), such as 'd0 ~ d3'"
    )
    assert list(repeated_findings(find_repeated(["a b c", "d e f"]), "passages", str)) == []


def test_empty_texts_are_named():
    (found,) = empty_finding(["a", "", " \n", "b"], "passages", "d{}".format)
    assert found.sentence == "2 of 4 (50 %) passages are empty, such as 'd1' and 'd2'"
    assert list(empty_finding(["a"], "passages", str)) == []
    assert list(empty_finding([], "passages", str)) == []


def test_other_languages_are_a_caution_from_a_twentieth_on():
    said, others = language_findings(Languages("queries", 120, {"en": 90, "de": 10}, 20))
    assert said.text == "languages of the 120 queries looked at: en 90, de 10; that of 20 cannot be told"
    assert (others.severity, others.count, others.total, others.examples) == ("caution", 10, 100, ("de",))
    _, few = language_findings(Languages("queries", 120, {"en": 96, "de": 4}, 20))
    assert few.severity == "fact"
    assert [each.code for each in language_findings(Languages("queries", 9, {"en": 9}, 0))] == ["languages"]
    assert list(language_findings(Languages("queries", 3, {}, 3))) == []


@pytest.mark.parametrize("chunks", [[["a", "b", "c"]], [["a"], [], ["b", "c"]]])
def test_arrow_columns_are_read_like_a_list(chunks):
    texts = ArrowTexts(pa.chunked_array(chunks, pa.string()))
    assert len(texts) == 3
    assert [texts[place] for place in range(3)] == ["a", "b", "c"]
    assert (texts[1:], texts[-1], texts[5:9]) == (["b", "c"], "c", [])
    with pytest.raises(IndexError):
        texts[3]
    title = pa.chunked_array([["T", "", "U"]])
    assert ArrowTexts(title, pa.chunked_array(chunks, pa.string()))[:] == ["T a", "b", "U c"]
