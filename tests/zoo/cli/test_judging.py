"""genzoo pool and genzoo judgements, as people type them."""

import csv
import json

import pytest


@pytest.fixture
def source(tmp_path):
    (tmp_path / "docs").mkdir()
    for name in ("refund", "parcel", "password", "invoice"):
        (tmp_path / "docs" / f"{name}.txt").write_text(f"What to do about the {name}.")
    (tmp_path / "log.csv").write_text("query\nrefund\nparcel\nlost password\n")
    return tmp_path


POOL = ("pool", "--queries", "log.csv", "--corpus", "docs", "-m", "bm25", "-k", "2", "-o", "pool")


def test_from_a_log_to_merged_judgements(genzoo, source):
    code, out, err = genzoo(*POOL)
    assert code == 0, err
    assert "to judge: 3 passages for 3 queries (1.0 each), about 45 s" in out  # of bm25 those that share a word
    assert "open pool/judge.html" in out
    code, out, _ = genzoo("judgements", "pool")
    assert code == 0 and "Next: open pool/judge.html" in out
    with (source / "pool" / "judge.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with (source / "pool" / "judgements" / "anna.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"grade": "3" if row["query"].split()[-1] in row["passage"] else "0"} for row in rows)
    code, out, err = genzoo("judgements", "pool", "-o", "grades.csv")
    assert code == 0 and "queries: 3 of 3 complete" in out and "wrote grades.csv" in out
    assert "Next: genzoo evaluate -m MODEL -m MODEL -t pool" in out
    assert len((source / "grades.csv").read_text().splitlines()) == 4
    code, out, _ = genzoo("judgements", "pool", "--json")
    assert json.loads(out)["judges"] == {"anna": 3}


def test_a_choice_says_what_it_does_to_the_estimate(genzoo, source):
    code, _, err = genzoo(*POOL, "-n", "2")
    assert code == 0 and "2 queries were drawn at random from a log of 3" in err


def test_errors_are_one_line(genzoo, source):
    code, _, err = genzoo(*POOL[:-2], "-o", "docs")
    assert code == 1 and "holds other files and no pool" in err and "Traceback" not in err
    code, _, err = genzoo("judgements", "docs")
    assert code == 1 and "docs is no pool" in err
