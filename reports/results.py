"""A results folder as opened: rank, compare, report, write a site, submit."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.jobs import job
from genzoo.leaderboards.facts import Problem
from genzoo.leaderboards.leaderboard import Leaderboard, LeaderboardRow
from genzoo.leaderboards.naming import short_name
from genzoo.leaderboards.opening import lay_together, open_store
from genzoo.leaderboards.reading.store import ResultStore
from genzoo.reports.render.table import Table

if TYPE_CHECKING:
    from genzoo.leaderboards.judging.verdicts import Verdict
    from genzoo.leaderboards.searches.failures import FailedSearches
    from genzoo.tasks.submission import Submission

BOARD_FORMATS = ("md", "csv", "json", "tex")


class Tabular:
    """What can be shown as a table exports it, and shows it in a notebook."""

    def table(self, *, is_full: bool = False) -> Table:
        """The table; with `is_full` every column, as machines read it."""
        raise NotImplementedError

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame with every column: a row for each row under its name, raw values, NaN where one is missing."""
        return self.table(is_full=True).to_frame()

    def to_markdown(self) -> str:
        """A GitHub-flavoured Markdown table."""
        return self.table().to_markdown()

    def to_latex(self) -> str:
        """A booktabs tabular."""
        return self.table().to_latex()

    def to_csv(self) -> str:
        """Comma-separated raw values, every column."""
        return self.table(is_full=True).to_csv()

    def to_json(self) -> str:
        """Columns with directions, and rows of raw values with their provenance, every column."""
        return self.table(is_full=True).to_json()

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@dataclass(frozen=True, repr=False)
class Board(Tabular, Leaderboard):
    """A leaderboard with the results behind it, so that it can show where a score comes from."""

    store: ResultStore | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<leaderboard: {self.benchmark or 'every task'}, {len(self.rows)} models, {self.total} tasks>"

    def table(self, *, is_full: bool = False) -> Table:
        """The models with their means, rank intervals, difference to the reference and coverage; with `is_full` every task too."""
        from genzoo.reports import leaderboard_table

        return leaderboard_table(self, self.store, is_full=is_full)

    def write(self, folder: Path | str, formats: Iterable[str] = BOARD_FORMATS) -> list[Path]:
        """Write `leaderboard.md`, `.csv`, `.json` and `.tex`, and return the paths."""
        from genzoo.reports import write_leaderboard

        return write_leaderboard(self, folder, store=self.store, formats=formats)


@dataclass(frozen=True, repr=False)
class ModelComparison(Tabular):
    """Two models, task by task. Differences are the first minus the second; scores are fractions of 1.

    Attributes:
        board: The leaderboard of the two alone.
        row: The first model.
        reference: The second.
        store: Their results.
    """

    board: Leaderboard
    row: LeaderboardRow
    reference: LeaderboardRow
    store: ResultStore

    def __repr__(self) -> str:
        return f"<{self.row.label} against {self.reference.label}: {self.board.total} tasks>"

    def table(self, *, is_full: bool = False) -> Table:
        """The tasks with both scores and their difference."""
        from genzoo.reports.comparison import comparison_table

        if self.row.comparison is None:
            raise ZooError(f"{self.row.label} and {self.reference.label} share no task")
        return comparison_table(self.board, self.row.comparison, self.row, self.reference)

    def queries_needed(self) -> Table:
        """For each search of own data, or one that was judged from a pool: are the two told apart, and if not, how many queries would it take?"""
        from genzoo.reports.chapters.judging import needed_table

        return needed_table(self.store, self._verdicts)

    @property
    def verdict(self) -> str:
        """In words, for each search of own data: which model finds better, by how much and how sure that is, or what it would take to know."""
        from genzoo.reports.chapters.judging import verdict_in_words

        return "\n".join(verdict_in_words(self.store, each) for each in self._verdicts)

    @functools.cached_property
    def _verdicts(self) -> tuple[Verdict, ...]:
        from genzoo.leaderboards.judging.verdicts import verdicts

        return verdicts(self.store, [(task, self.row.key, self.reference.key) for task in self.board.tasks])

    def report(self, folder: Path | str, formats: Iterable[str] = ("html", "md")) -> list[Path]:
        """Write `compare-<first>-<second>.html` and `.md` with figures, and return the paths."""
        from genzoo.reports import compare

        first, second = (f"{row.key.model}@{row.key.revision}" for row in (self.row, self.reference))
        return compare(self.store, first, second, folder, formats=formats)


class Results:
    """A results folder, as `genzoo.open_results` or `genzoo.evaluate` returns it. The files are read at first use.

    Attributes:
        root: The folder, or a CSV file of scores.
    """

    def __init__(
        self, root: Path | str | Sequence[Path | str], *, by_revision: bool = False, reported: bool = False
    ) -> None:
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if isinstance(root, Path | str):
            self.root = Path(root)
        else:
            if not isinstance(root, Sequence) or not root:
                raise InputError(
                    f"folder is {root!r:.60}: give a results folder, a CSV file of scores, or a list of folders"
                )
            self._scratch = tempfile.TemporaryDirectory(prefix="genzoo-results-")  # until these results are forgotten
            self.root = Path(self._scratch.name)
            lay_together(root, self.root)
        self._options: dict[str, Any] = {
            "by_revision": by_revision,
            "reported": reported,
            "is_kept": self._scratch is None,
        }
        self._described: dict[str, ResultStore] = {}

    def __repr__(self) -> str:
        return f"genzoo.open_results({str(self.root)!r})"

    @functools.cached_property
    def store(self) -> ResultStore:
        """Everything that the folder says."""
        return open_store(self.root, **self._options)

    @property
    def models(self) -> list[str]:
        """The models, by the shortest names that tell them apart."""
        return list(self.store.labels.values())

    @property
    def tasks(self) -> list[str]:
        """The tasks that some model has a score on."""
        return list(self.store.task_names())

    @property
    def benchmarks(self) -> list[str]:
        """The benchmarks whose tasks the folder names."""
        return list(self.store.benchmarks)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Files, or parts of one, that could not be used, each with the reason."""
        return self.store.problems

    def leaderboard(
        self, benchmark: str | None = None, tasks: Sequence[str] | str | None = None, reference: str | None = None
    ) -> Board:
        """Rank every model that has a score.

        Args:
            benchmark: Benchmark whose tasks count; every task of the folder by default. If the folder does not name its tasks, mteb does.
            tasks: Only these tasks.
            reference: The model that all others are compared with; by default, or as "teacher", each with its own teacher.

        Raises:
            UnknownNameError: For an unknown benchmark, task or model, with the nearest names.
        """
        store = self._with(benchmark)
        if tasks is not None:
            tasks = [tasks] if isinstance(tasks, str) else tasks
            if not isinstance(tasks, Sequence) or not tasks:
                raise InputError(
                    f"tasks are {tasks!r:.60}: give the name of a task, or a list of at least one; None for all"
                )
            store, benchmark = _only_tasks(store, tasks, benchmark), None
        if reference == "teacher" and all(short_name(key.model) != reference for key in store.models):
            reference = None
        return dataclasses.replace(Board.from_store(store, benchmark, reference), store=store)

    def compare(self, a: str, b: str) -> ModelComparison:
        """Compare two models over the tasks that both have.

        Args:
            a: The model of interest: full name, short name, or ``name@revision``.
            b: The model that it is compared with.
        """
        from genzoo.reports.comparison import pair_board

        pair, board, row, reference = pair_board(self.store, a, b)
        return ModelComparison(board, row, reference, pair)

    def searches(
        self,
        task: str,
        model: Path | str | None = None,
        *,
        query: str | None = None,
        decoded: int = 3,
        device: str | None = None,
    ) -> FailedSearches:
        """The searches of a retrieval task that went wrong for a model, worst first: what was found, and what was right.

        Args:
            task: A task of the folder.
            model: Name as on the board, or the folder of a model; the model with the best score on the task by default.
            query: Id of one query, whose search is then given alone, whether it went wrong or not.
            decoded: Number of searches, the worst first, whose query and passages a zoo model decodes. They are kept in the folder.
            device: Where the model is loaded to decode; the best available by default.

        Raises:
            UnknownNameError: For an unknown task, model or query, with the nearest names.
            InputError: Where the folder does not say how single searches went, with what to run.
        """
        from genzoo.reports.explaining import explained

        return explained(self.store, task, model, query=query, decoded=decoded, device=device)

    def report(
        self,
        path: Path | str = "report",
        *,
        benchmark: str | None = None,
        reference: str | None = None,
        title: str | None = None,
        studies: Path | str | None = None,
        figures: Iterable[str] = (),
    ) -> list[Path]:
        """Write one self-contained HTML report and the same in Markdown, and return the paths.

        Args:
            path: A file that ends in .html or .md, or a folder for `report.html` and `report.md`.
            benchmark: Benchmark whose tasks count; every task of the folder by default.
            reference: The model that all others are compared with; each with its own teacher by default.
            title: Title of the report; by default it names the search where all tasks are of own data.
            studies: Folder that `genzoo study` wrote; `studies` in the results folder by default, if there is one.
            figures: Formats in which each figure is also written as a file, for a paper: "png", "svg", "pdf".
        """
        from genzoo.reports import build_report

        options: dict[str, Any] = {"title": title, "studies": studies, "figures": figures}
        path, kind = Path(path), Path(path).suffix.lower().removeprefix(".")
        if kind in ("html", "md"):
            path, options = path.parent, options | {"name": path.stem, "formats": [kind]}
        with job("drawing the report"):
            return build_report(self._with(benchmark), path, benchmark=benchmark, reference=reference, **options)

    def unjudged(self) -> Table:
        """What passages that nobody judged do to each score: judged share, condensed score and bpref beside it.

        A row for each model and each task whose judgements name passages that are not relevant.
        """
        from genzoo.leaderboards.judging.figures import unjudged_figures
        from genzoo.reports.chapters.judging import unjudged_table

        store = self.store
        return unjudged_table(store, unjudged_figures(store, list(store.models), store.task_names()))

    def site(self, folder: Path | str = "site", *, title: str = "Generative embeddings") -> list[Path]:
        """Write a static site, a page for each benchmark and each model, and return the paths."""
        from genzoo.reports import build_site

        with job("drawing the site"):
            return build_site(self.store, folder, title=title)

    def submit(
        self, folder: Path | str = "submission", *, models: Sequence[str] = (), benchmark: str = "MTEB(eng, v2)"
    ) -> list[Submission]:
        """Write what the MTEB results repository takes, the ModelMeta for mteb, and a checklist of what is missing.

        Args:
            folder: A new or empty folder.
            models: ``org/name`` each; all models of the folder by default.
            benchmark: The benchmark whose missing tasks the checklist names.

        Returns:
            For each model the results to submit, and the problems to solve first.
        """
        with job("loading mteb"):
            from genzoo.leaderboards.reading.tree import tree_root
            from genzoo.tasks.submission import write_submission

            return write_submission(tree_root(self.root), Path(folder), list(models), benchmark)

    def to_frame(self, *, all_metrics: bool = False) -> pd.DataFrame:
        """A tidy frame: a row for each main score of a model, revision, task, split and subset, or for each number of any metric."""
        return self.store.frame if all_metrics else self.store.main_scores.copy()

    def _repr_html_(self) -> str:
        return self.leaderboard()._repr_html_()

    def _with(self, benchmark: str | None) -> ResultStore:
        """The results, with what mteb knows of a benchmark that the folder does not."""
        if benchmark is None or benchmark in self.store.benchmarks:
            return self.store
        if benchmark not in self._described:
            self._described[benchmark] = open_store(self.root, benchmark, **self._options)
        return self._described[benchmark]


def _only_tasks(store: ResultStore, names: Sequence[str], benchmark: str | None) -> ResultStore:
    """The same results on some of the tasks."""
    known = store.task_names(benchmark)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
            raise UnknownNameError(f"no task {name!r} in {store.root}: it holds {', '.join(near)}")
    main = store.main_scores
    return dataclasses.replace(
        store,
        main_scores=main[main["task"].isin(names)].reset_index(drop=True),
        tasks={name: facts for name, facts in store.tasks.items() if name in names},
        benchmarks={},
    )


def open_results(
    folder: Path | str | Sequence[Path | str], *, by_revision: bool = False, reported: bool = False
) -> Results:
    """Open a results folder: one that `genzoo.evaluate` or mteb wrote, a clone of somebody else's, or a CSV file of scores.

    Args:
        folder: The folder or the file; or several folders, of which the one that is named first counts where two hold the same.
        by_revision: Keep the revisions of a published model apart; by default they are one row, as on mteb's boards.
        reported: Add what the authors of upstream models report about its tasks, marked as reported.

    Raises:
        ZooError: There is nothing to read, with what is expected there.
    """
    results = Results(folder, by_revision=by_revision, reported=reported)
    _ = results.store  # a folder that holds none is an error now, not later
    return results
