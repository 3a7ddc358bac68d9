"""What a report is made of."""

import re

from genzoo.reports.render.document import Drawing, Report, Section


def test_drawings_of_a_report_never_share_an_anchor_or_a_file():
    drawn = [Drawing(identity, "T", "D", "C", lambda ax: None) for identity in ("a", "a", "a-2", "../a", "A")]
    report = Report("T", "", (), (Section("one", "1", tuple(drawn[:2])), Section("two", "2", tuple(drawn[2:]))))
    found = [block.identity for section in report.sections for block in section.blocks]
    assert len(set(found)) == 5
    assert all(re.fullmatch("[a-z0-9-]+", identity) for identity in found)
