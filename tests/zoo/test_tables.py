"""Rows and cells, read strictly."""

import csv
import gzip

import pytest

from genzoo.errors import InputError
from genzoo.tables import CsvTable, read_rows, read_table, read_text


def _table(tmp_path, text, divider=","):
    (tmp_path / "a.csv").write_bytes(text.encode())
    return read_table(tmp_path / "a.csv", divider)


def test_what_the_csv_module_writes_is_read_back(tmp_path):
    rows = [
        ["id", "said"],
        ["1", 'a "quote", a comma'],
        ["2", "two\nlines"],
        ["3", " "],
        ["4", ""],
        ["5", "x" * 200_000],
    ]
    with (tmp_path / "b.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    table = read_table(tmp_path / "b.csv")
    assert table.heading == rows[0]
    assert [cells for _, cells in table.rows] == [
        ["1", 'a "quote", a comma'],
        ["2", "two\nlines"],
        ["3", ""],
        *rows[4:],
    ]
    assert [line for line, _ in table.rows] == [2, 3, 5, 6, 7]
    assert table.swallowed == []


def test_lines_are_those_of_the_file(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        table = _table(tmp_path, end.join(["", "a,b", "", f'1,"x{end}{end}y"', "", "2,z", ""]))
        assert [line for line, _ in table.rows] == [4, 8]
        with pytest.raises(InputError, match="line 8: the row has 1 cell, the heading has 2"):
            _table(tmp_path, end.join(["", "a,b", "", f'1,"x{end}{end}y"', "", "2"]))


def test_rows_inside_a_cell_are_noticed(tmp_path):
    assert _table(tmp_path, 'id,text\n1,"a\n2,b\n3,c"\n4,"d\nwell, well"\n').swallowed == [2]
    assert _table(tmp_path, 'text\n"a\n2,b"\n').swallowed == []
    # rows that begin with words, before and behind the text
    assert _table(tmp_path, 'text,lang\na,en\n"what is b,en\nthe 11",en\n').swallowed == [3]
    assert _table(tmp_path, 'lang,text\nen,"what is b\nen,the 11"\n').swallowed == [2]
    assert _table(tmp_path, 'lang,text\nen,"what, when\nand where, please\n"\n').swallowed == []


@pytest.mark.parametrize(("sign", "usual"), [(";", ","), ("\t", ","), ("|", ","), (",", "\t"), (";", "\t")])
def test_another_divider_is_found_in_the_heading(tmp_path, sign, usual):
    table = _table(tmp_path, f'\n\n id{sign}said\n1{sign}"a{sign} b, c; d"\n', usual)
    assert (table.divider, table.heading, table.rows) == (sign, ["id", "said"], [(4, ["1", f"a{sign} b, c; d"])])
    assert _table(tmp_path, f'said\n"a{sign} b"\n', usual).divider == usual


@pytest.mark.parametrize("name", ["said", "n"])
def test_a_field_that_is_named_twice_is_refused_and_a_text_that_looks_so_is_not(tmp_path, name):
    path = tmp_path / "a.jsonl"
    path.write_text('{"said": "\\"n\\": 1, \\"n\\": 2", "n": {"said": 1, "n": 2}}\n')
    assert [dict(row.cells) for row in read_rows(path)] == [{"said": '"n": 1, "n": 2', "n": {"said": 1, "n": 2}}]
    path.write_text(f'{{"said": "a"}}\n{{"said": "b", "n": 1, "{name}" : "c"}}\n')
    with pytest.raises(InputError, match=f"line 2 names the field '{name}' twice"):
        list(read_rows(path))


def test_empty_and_packed_files(tmp_path):
    assert _table(tmp_path, "") == CsvTable([], [])
    path = tmp_path / "a.CSV.GZ"
    path.write_bytes(gzip.compress("\ufeffa\n".encode()))
    assert read_text(path) == "a\n"
    path.write_bytes(b"plain")
    with pytest.raises(InputError, match="gzip cannot unpack it"):
        read_text(path)
