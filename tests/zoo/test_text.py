"""Names and texts of files are shown as text, and never lead a path elsewhere."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.text import clean, code_markdown, escape_markdown, for_terminal, safe_name, safe_names

RESERVED = ["", ".", "..", "CON", "nul", "com1", "a/b", "a\\b", "../x", "a.", "~", "x" * 300, "ü", "\ud800", "\0", "-"]


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(), st.sampled_from(RESERVED)), max_size=12))
def test_safe_names_are_distinct_on_any_system(names):
    found = safe_names(names)
    assert len(found) == len(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,80}", name) for name in found)


def test_a_name_that_was_made_to_meet_another_is_told_apart():
    other = safe_name("a b")
    assert other == safe_name(other)
    assert len(set(safe_names(["a b", other, f"{other}-2", "A B"]))) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-3.2", "-3.2"),
        ("+1.5 points", "+1.5 points"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("2.5", "2.5"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("= a", "= a"),
        ("# x", r"\# x"),
        ("http://a.b www.c.d", r"http\://a.b www\.c.d"),
        ("a\n\n- b", "a - b"),
    ],
)
def test_markdown_text_stays_a_line_of_text(text, expected):
    assert escape_markdown(text) == expected


@given(st.text(alphabet="ab`| \\"))
def test_code_spans_hold_what_they_are_given(text):
    markdown_it = pytest.importorskip("markdown_it")
    (block,) = [token for token in markdown_it.MarkdownIt().parse(f"x {code_markdown(text)} y") if token.children]
    if clean(text):
        assert [token.content.strip() for token in block.children if token.type == "code_inline"] == [clean(text)]


def test_letters_of_any_script_stay():
    text = "é ש ऋषि 中文 🦜🏳️‍🌈 a\u00a0b"
    assert clean(text) == for_terminal(text) == text
