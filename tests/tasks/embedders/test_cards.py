"""Cards of embedders, and the prompts that mteb is told."""

from genzoo.tasks.embedders.cards import known_to_mteb, make_meta


def test_facts_override_what_is_known_of_every_encoder():
    meta = make_meta("org/name", "a" * 40, None, embed_dim=3, open_weights=None)
    assert (meta.name, meta.revision, meta.embed_dim, meta.open_weights) == ("org/name", "a" * 40, 3, None)
    assert meta.languages == ["eng-Latn"] and meta.similarity_fn_name.value == "cosine"


def test_other_names_of_the_document_prompt_are_left_out():
    assert known_to_mteb({"query": "q: ", "passage": "d: "}) == {"query": "q: ", "document": "d: "}
