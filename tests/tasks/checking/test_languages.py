from genzoo.tasks.checking import languages
from genzoo.tasks.checking.languages import find_languages

ENGLISH = [
    "How long does delivery take?",
    "You can return an article within thirty days, free of charge.",
    "To change your password, open Settings and choose Security.",
    "Parcels within the country arrive after two working days.",
]
GERMAN = [
    "Wie lange dauert der Versand?",
    "Sie können einen Artikel innerhalb von dreißig Tagen kostenlos zurückgeben.",
    "Öffnen Sie die Einstellungen, um Ihr Passwort zu ändern.",
]
OTHERS = ["帮我重置密码，谢谢", "パスワードを忘れた", "كيف أعيد المنتج إلى المتجر", "12345", "E1043", "", "   "]


def test_languages_are_counted_and_what_cannot_be_told_is_said():
    found = find_languages(ENGLISH + GERMAN + OTHERS, "passages")
    assert found.n_texts == 12
    assert found.counts == {"en": 4, "de": 3}
    assert found.n_undecided == 5  # two of which are in languages of one text each
    assert found.main == "en"
    assert found.share("de") == 3 / 7
    assert found.as_row()["counts"] == {"en": 4, "de": 3}


def test_of_few_texts_the_main_language_is_named():
    found = find_languages(["帮我重置密码，谢谢"], "queries")
    assert (found.main, found.n_undecided) == ("zh", 0)
    nothing = find_languages(["12345", ""], "queries")
    assert (nothing.main, nothing.n_texts, nothing.n_undecided) == (None, 1, 1)


def test_of_many_texts_a_sample_is_looked_at_always_the_same(monkeypatch):
    monkeypatch.setattr(languages, "SAMPLE", 50)
    texts = (ENGLISH + GERMAN) * 100
    found = find_languages(texts, "passages")
    assert found.n_texts == 50
    assert found == find_languages(texts, "passages")
    assert 0.2 < found.share("de") < 0.7


def test_real_queries_are_english(shared):
    import gzip
    import json

    with gzip.open(shared / "data/train/queries.jsonl.gz") as file:
        queries = [json.loads(line)["query"] for _, line in zip(range(2000), file, strict=False)]
    found = find_languages(queries, "queries")
    assert found.share("en") == 1
    assert found.n_undecided < 0.05 * len(queries)
