"""One fault of both sides is said once, and parts of a side are counted."""

import numpy as np

from genzoo.tasks.doctor.gathering import Gathered, quoted
from genzoo.tasks.doctor.matching import Answers, Match
from genzoo.tasks.doctor.variants import RIGHT, Variant

TEXTS = ["where do polar bears live", "a cat", "books and bears and bikes", "the quick brown fox " * 40]


def answers(reference, side, variant=RIGHT):
    return Answers.of(side, TEXTS, reference.embed(variant, side, TEXTS), reference)


def test_both_sides_in_one_sentence(reference):
    kept, lost = Gathered(reference), Variant("prompt-lost")
    kept.keep(answers(reference, "query", lost), Match((0, 1, 2, 3), lost, 0.0))
    kept.keep(answers(reference, "document", lost), Match((1,), lost, 0.0))
    (found,) = kept.deviations()
    assert found.text == "Queries and 1 of 4 documents are embedded without their prompt."
    assert "'Write the answer to this: ' before a query and 'Restate this passage: ' before a document" in found.advice


def test_long_texts_that_nothing_explains_are_cut_elsewhere(reference):
    kept, own = Gathered(reference), answers(reference, "query")
    kept.keep(own, Match((0, 1, 2), RIGHT, 0.0))
    kept.keep(own, Match((3,)))
    kept.identify([])
    (found,) = kept.deviations()
    assert found.code == "cut-elsewhere"
    assert f"at most {reference.n_tokens('query', TEXTS[0])} tokens" in found.text


def test_what_resembles_the_model_is_another_revision(reference):
    own = answers(reference, "document")
    rng = np.random.default_rng(0)
    for share, code in ((0.7, "another-revision"), (50, "another-model")):
        noise = rng.standard_normal(own.vectors.shape)
        noise *= (
            share * np.linalg.norm(own.vectors, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
        )
        kept, centred = Gathered(reference), own.vectors - own.vectors.mean(axis=0)
        kept.keep(Answers("document", own.texts, centred + noise), Match((0, 1, 2, 3)))
        kept.identify([])
        (found,) = kept.deviations()
        assert found.code in (code, "another-model")


def test_prompts_in_words():
    assert quoted({"query": "q: ", "document": ""}) == "'q: ' before a query and '' before a document"
