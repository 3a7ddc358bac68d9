"""Rows that show themselves as a table."""

from dataclasses import dataclass

from genzoo.frames import Rows


@dataclass(frozen=True)
class Plain:
    name: str
    value: float


@dataclass(frozen=True)
class Short:
    name: str
    place: str

    def as_row(self):
        return {"name": self.name}


def test_a_row_for_each():
    rows = Rows([Plain("a", 1.5), Plain("b", 2.0)])
    assert rows == (Plain("a", 1.5), Plain("b", 2.0))
    frame = rows.to_frame()
    assert frame.to_dict("records") == [{"name": "a", "value": 1.5}, {"name": "b", "value": 2.0}]
    assert list(Rows([Short("a", "/home")]).to_frame().columns) == ["name"]


def test_a_notebook_shows_text_as_it_is():
    html = Rows([Plain("<script>alert(1)</script> \u202e\x1b[31m" + "long " * 50, float("nan"))])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert html.count("long") == 50
    assert "nan" not in html.lower()


def test_no_row_is_an_empty_table():
    assert Rows([]).to_frame().empty
    assert "<table" in Rows([])._repr_html_()
