import doctest
import re
from pathlib import Path

import pytest

import genzoo.tasks.checking.findings as findings_module
import genzoo.tasks.checking.texts as texts_module
from genzoo.tasks.checking.findings import CAUTION_FROM, EXIT_CODES, DataFinding, counted, in_words, judge


def _of(severity, text="something"):
    return DataFinding("code", "passages", text, severity)


def test_one_blocker_outweighs_all_cautions():
    found = [_of("fact"), _of("caution"), _of("blocker", "no query"), _of("caution")]
    verdict, reasons = judge(found)
    assert (verdict, EXIT_CODES[verdict]) == ("cannot be measured", 2)
    assert in_words(verdict, reasons) == "cannot be measured, because no query"


def test_cautions_are_the_reasons_where_nothing_blocks():
    verdict, reasons = judge([_of("caution", f"reason {n}") for n in range(5)] + [_of("fact")])
    assert (verdict, EXIT_CODES[verdict]) == ("usable with care", 1)
    assert in_words(verdict, reasons) == "usable with care, because reason 0; reason 1; reason 2; and 2 more"


def test_texts_to_be_pooled_are_ready_for_that_and_their_cautions_are_named():
    verdict, reasons = judge([_of("caution", "few texts"), _of("fact"), _of("missing", "no judgements")])
    assert (verdict, EXIT_CODES[verdict]) == ("ready to pool", 0)
    assert in_words(verdict, reasons) == "ready to pool: no judgements; few texts"
    assert judge([_of("missing"), _of("blocker")])[0] == "cannot be measured"


def test_facts_alone_are_ready():
    assert judge([_of("fact")]) == ("ready", [])
    assert EXIT_CODES["ready"] == 0


@pytest.mark.parametrize(("count", "severity"), [(1, "fact"), (9, "fact"), (10, "caution"), (1000, "caution")])
def test_a_share_decides_what_is_a_caution(count, severity):
    assert CAUTION_FROM["duplicates"] == 0.01
    assert counted("duplicates", "passages", count, 1000, "are repeated").severity == severity
    assert counted("a code without a limit", "passages", count, 1000, "are repeated").severity == "fact"


@pytest.mark.parametrize("module", [findings_module, texts_module])
def test_examples_in_docstrings(module):
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_the_guide_names_every_limit():
    page = (Path(__file__).parents[3] / "docs/guides/check.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    told = {code: cells[3].strip() for cells in rows for code in re.findall(r"`([\w-]+)`", cells[1])}
    assert {code: limit for code, limit in told.items() if limit} == {
        code: f"{100 * share:g} %" for code, share in CAUTION_FROM.items()
    }
