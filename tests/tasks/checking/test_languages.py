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
    assert found.counts == {"en": 4, "de": 3, "zh": 1, "ja": 1, "ar": 1}  # one text is enough where it is certain
    assert found.n_undecided == 2
    assert found.main == "en"
    assert found.as_row()["counts"] == found.counts


def test_short_texts_are_in_the_language_of_most_others_and_a_foreign_one_is_named():
    short = ["parking permit", "deposit back", "lost my key", "can I have a dog", "who pays for broken window"]
    long = ["where can I charge my car", "heating not working", "cant pay rent this month", "how long is waiting list"]
    found = find_languages([*short, *long, "wer bezahlt die kaputte Scheibe", "f28"], "queries")
    assert found.counts == {"en": 9, "de": 1}
    assert find_languages(["parking permit"] * 5, "queries").n_undecided == 5  # nothing says that they are English


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
    assert 0.2 < found.counts["de"] / 50 < 0.7


def test_real_queries_are_english(shared):
    import gzip
    import json

    with gzip.open(shared / "data/train/queries.jsonl.gz") as file:
        queries = [json.loads(line)["query"] for _, line in zip(range(2000), file, strict=False)]
    found = find_languages(queries, "queries")
    assert set(found.counts) == {"en"}
    assert found.n_undecided < 0.01 * len(queries)
