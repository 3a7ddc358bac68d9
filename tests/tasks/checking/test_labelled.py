import numpy as np

from genzoo.tasks.checking.labelled import Split, labelled_findings

RNG = np.random.default_rng(1)
WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]


def _texts(n):
    return [" ".join(RNG.choice(WORDS, 12)) for _ in range(n)]


def _findings(kind, **splits):
    measured = [name for name in splits if name != "train"]
    found = list(labelled_findings(kind, splits, measured))
    return {each.code: each for each in found}


def test_sound_similarity_pairs():
    found = _findings("STS", test=Split((_texts(120), _texts(120)), RNG.uniform(0, 5, 120).tolist()))
    assert set(found) == {"scores"}
    assert found["scores"].severity == "fact"


def test_pairs_of_the_same_text_and_repeated_pairs():
    firsts, seconds = _texts(120), _texts(120)
    seconds[:10] = [text.title() for text in firsts[:10]]
    firsts[20], seconds[20] = seconds[21], firsts[21]
    scores = [5.0] * 8 + [1.0] * 112
    found = _findings("STS", test=Split((firsts, seconds), scores))
    assert (found["same-text-pairs"].count, found["same-text-pairs"].severity) == (10, "caution")
    assert found["contradicting-labels"].examples == ("row 9", "row 10")
    assert found["duplicates"].examples == ("row 22",)


def test_few_rows_are_a_caution():
    found = _findings("STS", test=Split((_texts(9), _texts(9)), list(range(9))))
    assert found["few-rows"].text == "only 9 rows in test: too few to tell models apart that are close"


def test_what_common_words_alone_reach():
    firsts = _texts(200)
    seconds = [
        text if place % 2 else other for place, (text, other) in enumerate(zip(firsts, _texts(200), strict=True))
    ]
    seconds = [text + " more" for text in seconds]
    found = _findings("PairClassification", test=Split((firsts, seconds), [place % 2 for place in range(200)]))
    assert "average precision of 1.000" in found["words-alone"].text
    assert found["labels"].text == "2 labels in test, 0: 100, 1: 100"


def test_labels_that_a_constant_answer_gets_right():
    labels = ["a"] * 190 + ["b"] * 10
    found = _findings("Classification", test=Split((_texts(200),), labels))
    assert (found["largest-label"].severity, found["largest-label"].count) == ("caution", 190)
    found = _findings("Classification", test=Split((_texts(200),), ["a"] * 120 + ["b"] * 80))
    assert found["largest-label"].severity == "fact"


def test_texts_that_were_trained_on_and_labels_with_few_examples():
    test, train = _texts(120), _texts(60)
    train[:5] = [text.upper() for text in test[:5]]
    labels = ["a", "b", "c"] * 40
    found = _findings(
        "Classification", train=Split((train,), ["a"] * 30 + ["b"] * 27 + ["c"] * 3), test=Split((test,), labels)
    )
    assert found["seen-in-training"].count == 5
    assert found["seen-in-training"].examples == ("row 1", "row 2", "row 3")
    assert found["thin-labels"].examples == ("c",)


def test_the_same_text_with_another_label():
    texts = _texts(120)
    texts[7] = texts[3].upper()
    labels = [f"l{place % 4}" for place in range(120)]
    assert "contradicting-labels" not in _findings("Clustering", test=Split((texts,), labels))
    labels[7] = "l0"
    found = _findings("Clustering", test=Split((texts,), labels))
    assert found["contradicting-labels"].examples == ("row 8",)
    assert found["duplicates"].count == 1


def test_clusters_of_one_text():
    labels = [f"l{place}" if place < 30 else "rest" for place in range(120)]
    found = _findings("Clustering", test=Split((_texts(120),), labels))
    assert (found["single-texts"].count, found["single-texts"].total) == (30, 31)
    assert found["single-texts"].severity == "caution"


def test_many_labels_are_summed_up():
    found = _findings("Classification", test=Split((_texts(120),), [f"l{place % 12}" for place in range(120)]))
    assert found["labels"].text == "12 labels in test, 10 to 10 rows each"
