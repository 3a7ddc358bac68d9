"""Lines of a plain text log that look like records rather than queries: told before hours go into answering them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

SHARE = 0.2
"""Of the lines that must look alike before it is told: a few such queries prove nothing."""
BEGINNING = 200
"""Characters of a line that are looked at."""
_KINDS = {
    "TREC topics": r"</?(top|topics?|num|number|title|desc|description|narr|narrative|query|question)\b[^>]*>",
    "JSON": r"\{.*\}?,?$|\[[\[{\"]|\"(query|text|question|prompt|id)\"\s*:",
    "tab-separated records": r"[^\t]+\t",
    "lines of a log file": r"[\[(]?(\d{4}[-/]\d\d[-/]\d\d\b|\d\d/\w{3}/\d{4}\b|\d\d:\d\d:\d\d\b|1\d{9}(\d{3})?\b"
    r"|(mon |tue |wed |thu |fri |sat |sun )?[a-z]{3} [ \d]\d \d\d:\d\d:\d\d"
    r"|(trace|debug|info|notice|warn(ing)?|error|fatal)[\]):]|\d{1,3}(\.\d{1,3}){3}\s)",
    "comma-separated records": r"\"?[\w.-]*\d[\w.-]*\"?,\s*[^\d\s]|\"[^\"]*\",",
    "records divided by semicolons or bars": r"\"?[\w.-]{1,40}\"?\s*[;|]",
    "numbered lines": r"(\d{1,6}|q\d{1,6})\s*[.):]\s",
    "quoted text": r"\"[^\"]*\"$",
}
_PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _KINDS.items()}
_DIVIDER = re.compile(r"[,;|\t]")


def notes_on(path: Path, lines: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """What a reader of the log should know: a heading that is read as a query, and records of a known kind.

    Args:
        path: The log, to name it.
        lines: All of its lines.
        columns: Names that a column of queries usually has.
    """
    kept = [(number, line.strip()[:BEGINNING]) for number, line in enumerate(lines, 1) if line.strip()]
    if not kept:
        return
    first = kept[0][1]
    if {cell.strip(" \"'").lower() for cell in _DIVIDER.split(first)} & set(columns) and len(kept) > 1:
        yield (
            f"{path}, line {kept[0][0]} looks like the heading of a table ({first[:60]!r}). It is read as a query, like every "
            "line of a .txt file: name the file .csv or .tsv if it is a table."
        )
    found: dict[str, list[tuple[int, str]]] = {}
    for number, line in kept:
        kind = next((name for name, pattern in _PATTERNS.items() if pattern.match(line)), None)
        if kind:
            found.setdefault(kind, []).append((number, line))
    for kind, rows in found.items():
        if len(rows) >= max(2, SHARE * len(kept)):
            number, line = rows[0]
            yield (
                f"{path}: {len(rows):,} of {len(kept):,} lines look like {kind} (line {number}: {line[:60]!r}). Every line of a "
                ".txt file is read as one query, whole: if only a part of it is the query, give a .csv, .tsv or .jsonl file "
                "with a column of queries."
            )
