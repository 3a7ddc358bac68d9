"""Where the judging of a pool stands: who judged what, how far the judges agree, and what they leave to talk about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.frames import facts_to_html
from genzoo.leaderboards.statistics.agreement import Agreement, agreement
from genzoo.tasks.judging.judgement_files import FOLDER
from genzoo.tasks.judging.judgements import PAGE, Judging, read_judging, settle_judgements
from genzoo.text import plural

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class JudgedPool:
    """A pool with its judgements merged.

    Attributes:
        judging: What each judge said, and what follows for each passage.
        agreement: How far the judges agree; None where no passage was judged by two of them.
    """

    judging: Judging
    agreement: Agreement | None

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is known, each fact with its name."""
        judging = self.judging
        seen, total = judging.grades, len(judging.items)
        names = {name: len(own) for name, own in judging.judges.items()}
        counts = Counter("cannot tell" if grade is None else str(grade) for grade in seen.values())
        hopeless = sum(not any(grade > 0 for grade in own.values()) for own in judging.qrels.values())
        queries = f"{len(judging.complete):,} of {len(judging.queries):,} complete"
        if hopeless:
            queries += f"; {hopeless:,} of these have no relevant passage, and an evaluation leaves them out"
        found = [
            ("passages", f"{len(seen):,} of {total:,} judged"),
            ("queries", queries),
            ("judges", ", ".join(f"{name} ({count:,})" for name, count in names.items()) or "none"),
            ("grades", ", ".join(f"{counts[grade]:,} x {grade}" for grade in sorted(counts))),
        ]
        if overruled := sum(
            seen[item] is not None
            for own in judging.judges.values()
            for item, said in own.items()
            if said is None and item in seen
        ):
            found += [("overruled", f"{overruled:,} x cannot tell, as another judge gave a grade")]
        if self.agreement is not None:
            found += [("agreement", agreement_in_words(self.agreement))]
            found += [("disputed", f"{plural(len(judging.disputed), 'passage')} with grades two or more apart")]
        return [fact for fact in found if fact[1]]

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with a row for each passage of a query that was judged: each judge's grade, the grade that counts, and whether it is disputed."""
        import pandas as pd

        judging = self.judging
        merged, disputed = judging.grades, {item.item for item in judging.disputed}
        rows = [
            {
                "query": item.query,
                "passage": item.documents[0],
                **{name: own.get(item.item) for name, own in judging.judges.items()},
                "grade": merged[item.item],
                "disputed": item.item in disputed,
            }
            for item in judging.items
            if item.item in merged
        ]
        columns = ["query", "passage", *judging.judges, "grade", "disputed"]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype(dict.fromkeys([*judging.judges, "grade"], "Int64"))

    def as_row(self) -> dict[str, Any]:
        """The figures, for JSON."""
        judging, agreed = self.judging, self.agreement
        return {
            "passages": len(judging.items),
            "judged": len(judging.grades),
            "queries": len(judging.queries),
            "complete": len(judging.complete),
            "judges": {name: len(own) for name, own in judging.judges.items()},
            "disputed": len(judging.disputed),
            "agreement": None if agreed is None else vars(agreed) | {"reading": agreed.reading},
            "notes": list(judging.notes),
        }

    def _repr_html_(self) -> str:
        return facts_to_html(self.facts)


def agreement_in_words(found: Agreement) -> str:
    """One sentence on how far judges agree."""
    kappa = f", Cohen's kappa {found.kappa:.2f}" if found.kappa is not None else ""
    alpha = ""
    if found.alpha is not None:
        between = f" (95 % interval {found.low:.2f} to {found.high:.2f})" if found.low is not None else ""
        alpha = f", Krippendorff's alpha {found.alpha:.2f}{between}"
    return (
        f"{plural(found.n_judges, 'judge')} on {plural(found.n_items, 'passage')}: {100 * found.equal:.0f} % of the pairs of grades are "
        f"equal{kappa}{alpha}: {found.reading}"
    )


def judgements(folder: Path | str) -> JudgedPool:
    """Merge what the judges of a pool said, write it beside the corpus, and say how far they agree.

    The judgements are the files in `judgements/`, as the page exports them, and the spreadsheet `judge.csv` where grades were filled in. Of
    several judges the median counts, half a grade rounded down. Only queries of which every passage was judged are
    written to `qrels.jsonl`; `genzoo.evaluate` does the same when it is given the folder as a task.

    Args:
        folder: The folder that `genzoo.pool` wrote.

    Returns:
        Counts, agreement and disputed passages.

    Raises:
        InputError: It is no pool, or a file cannot be read.
    """
    judging = read_judging(Path(folder))
    if judging.complete:
        judging = settle_judgements(Path(folder))
    return JudgedPool(judging, agreement(judging.judges))


def next_step(found: JudgedPool) -> str:
    """What to do now."""
    folder = found.judging.folder
    if not found.judging.judges:
        return f"open {folder / PAGE} in a browser, judge, and put the exported file into {folder / FOLDER}"
    if not found.judging.complete:
        return f"go on judging in {folder / PAGE}: no query is complete yet"
    return f"genzoo evaluate -m MODEL -m MODEL -t {folder}"
