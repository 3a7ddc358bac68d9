"""Tables are made once: small ones in memory, large ones in the cache, whole or not at all."""

import pyarrow as pa
import pytest

from genzoo.errors import InputError
from genzoo.jobs import reporting_to
from genzoo.tasks.own.arrow import made_tables
from genzoo.tasks.own.digests import LARGE
from genzoo.tasks.own.records import Note

SCHEMA = pa.schema([("id", pa.string()), ("n", "int32")])


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def maker(n=20_000, fails=False):
    made = []

    def make(keep):
        made.append(n)
        keep("numbers", SCHEMA, ((f"d{place}", place) for place in range(n)))
        if fails:
            raise InputError("x.csv, line 7: wrong")
        return [Note("one is empty", "empty", 1, n)]

    make.made = made
    return make


@pytest.mark.parametrize("size", [1, LARGE])
def test_the_rows_come_back_with_the_notes(size, cache):
    make = maker()
    for _ in range(2):
        tables, notes = made_tables("a" * 40, size, make)
        assert tables["numbers"].to_pydict() == {"id": [f"d{n}" for n in range(20_000)], "n": list(range(20_000))}
        assert (notes, notes[0].code, notes[0].total) == (["one is empty"], "empty", 20_000)
    assert len(make.made) == (2 if size == 1 else 1)
    assert (cache / "own").exists() == (size != 1)


def test_what_cannot_be_read_leaves_nothing_behind(cache):
    with pytest.raises(InputError, match="line 7"):
        made_tables("b" * 40, LARGE, maker(fails=True))
    assert not (cache / "own" / ("b" * 40)).exists()


def test_a_damaged_table_is_made_anew(cache):
    make = maker()
    made_tables("c" * 40, LARGE, make)
    (path,) = cache.rglob("numbers.arrow")
    path.write_bytes(b"ARROW1")
    assert len(made_tables("c" * 40, LARGE, make)[0]["numbers"]) == 20_000
    assert len(make.made) == 2


def test_an_empty_table_keeps_its_columns():
    tables, _ = made_tables("d" * 40, 1, maker(0))
    assert tables["numbers"].schema == SCHEMA


def test_progress_is_told():
    heard = []
    with reporting_to(lambda *said: heard.append(said)):
        made_tables("e" * 40, LARGE, maker())
    assert {said[0] for said in heard} == {"reading the numbers"}
    assert heard[-1][1] <= heard[-1][2] == LARGE >> 20
