"""TREC pooling: the first passages of several embedders, together and in blind order, in a folder that is judged and then measured."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import InputError
from genzoo.files import replace_file, sha256_of
from genzoo.frames import facts_to_html
from genzoo.jobs import as_time, job, report
from genzoo.tasks.judging.disagreement import Selection, choose, disagreement
from genzoo.tasks.judging.judgements import PAGE, is_pool, read_items, read_record
from genzoo.tasks.judging.passages import Passage, Split, read_passages
from genzoo.tasks.judging.pool_folder import CORPUS, blind_items, passages_of, write_pool
from genzoo.tasks.judging.texts import copied_corpus, digest_of_texts, read_log
from genzoo.tasks.own.columns import Columns

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset
    from mteb.abstasks import AbsTask
    from mteb.models import ModelMeta

log = logging.getLogger(__name__)
SCORED = 10
"""The depth of nDCG@10, by which an evaluation ranks models on a search."""
SECONDS = 15
"""For one passage, assumed for the estimate of the work."""


@dataclass(frozen=True)
class Pool:
    """A folder that is ready to be judged.

    Attributes:
        folder: The folder.
        n_passages: Passages to judge for each query.
        depth: How many of each model's first passages are in it.
        models: Names of the models.
        selection: Which queries of the log were taken.
        disagreement: Query -> how much the models disagree on it, 0 to 1 (one less rank-biased overlap).
    """

    folder: Path
    n_passages: Mapping[str, int]
    depth: int
    models: tuple[str, ...]
    selection: Selection
    disagreement: Mapping[str, float]

    @property
    def page(self) -> Path:
        """The judging page."""
        return self.folder / PAGE

    @property
    def work(self) -> str:
        """How much there is to judge, in words."""
        items, queries = sum(self.n_passages.values()), len(self.n_passages)
        return (
            f"{items:,} passages for {queries:,} queries ({items / queries:.1f} each), about {as_time(items * SECONDS)} at {SECONDS} "
            "seconds a passage"
        )

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with a row for each query: passages to judge, and how much the models disagree."""
        import pandas as pd

        rows = [(query, count, self.disagreement[query]) for query, count in self.n_passages.items()]
        return pd.DataFrame(rows, columns=["query", "passages", "disagreement"])

    def _repr_html_(self) -> str:
        facts = [("to judge", self.work), ("page", str(self.page)), ("models", ", ".join(self.models))]
        return facts_to_html([*facts, *([("choice", self.selection.effect)] if self.selection.effect else [])])


@job()
def pool(
    queries: Path | str,
    corpus: Path | str,
    models: Any,
    *,
    output: Path | str = "pool",
    depth: int = 10,
    n_queries: int | None = None,
    most_disagreed: int = 0,
    columns: Mapping[str, str | Sequence[str]] | Sequence[str] = (),
    language: str | None = None,
    split: Split = "headings",
    seed: int = 0,
    results: Path | str = "results",
    batch_size: int = 32,
    device: str | None = None,
    query_prefix: str = "",
    document_prefix: str = "",
    rate_limit: float | None = None,
) -> Pool:
    """Pool the first passages of several embedders and write a page on which people judge them.

    For each query the first `depth` passages of every model are put together (pooling of depth k: Voorhees and Harman 2005, TREC,
    chapter 3). Queries and passages are shuffled, and nothing in the page or the spreadsheet says which model found what, at which rank. Passages
    with the same text are judged once. Called again with the same log and corpus, it adds what further models find to the pool;
    what was judged stays.

    Args:
        queries: The query log: .txt, .jsonl, .csv, .tsv or .parquet. Each distinct query counts once.
        corpus: A folder of text files or a file of records, see `genzoo.tasks.judging.passages.read_passages`.
        models: One or several models, as `genzoo.evaluate` takes them.
        output: The folder: corpus.jsonl, queries.jsonl, pool.jsonl, pool.json, judge.html, judge.csv and judgements/.
        depth: Passages of each model for each query. Scores up to this rank, such as nDCG@10, then rest on judged passages only.
        n_queries: How many queries of the log are to be judged; drawn at random. All of them if None.
        most_disagreed: How many of these are instead the ones on which the models disagree most, by rank-biased overlap. This shows
            where they differ with the least work, and biases plain means: `Selection.effect` says how.
        columns: Names of columns that are not found: ``query`` of the log, ``passage``, ``title`` and ``passage-id`` of the corpus; role to
            name, such as ``{"query": "frage"}``.
        language: Of the texts, such as ``deu-Latn`` (several with commas): BM25 takes its stemmer by it. English if None.
        split: How text files are cut into passages: "headings", "files" or "paragraphs".
        seed: Of the draw and of the order.
        results: The results folder of later evaluations: embeddings are kept in it, so that `genzoo.evaluate` encodes nothing again.
        batch_size: Texts per batch.
        device: Where named models are loaded, their own choice if None.
        query_prefix: What endpoints get before each query, as `genzoo.evaluate` takes it; so are `document_prefix` and `rate_limit`.
        document_prefix: Likewise before each passage.
        rate_limit: Most requests a minute to an endpoint.

    Returns:
        The pool.

    Raises:
        UnknownNameError: A model that is not known, with the nearest names.
        InputError: The log, the corpus or a number cannot be used, or the folder holds a pool of other texts. Before anything is loaded.
    """
    asked = _Asked(
        models=_several(models),
        depth=depth,
        n_queries=n_queries,
        most_disagreed=most_disagreed,
        seed=seed,
        batch_size=batch_size,
        device=device,
        results=Path(results),
        language=language,
        endpoints={"query_prefix": query_prefix, "document_prefix": document_prefix, "rate_limit": rate_limit},
    )
    folder = Path(output)
    asked.check()
    _check_folder(folder)
    named = Columns.parse(columns)
    texts = {query.id: query.text for query in read_log(Path(queries), named)}
    return _pooled(asked, texts, read_passages(Path(corpus), split, named), folder)


@dataclass(frozen=True)
class _Asked:
    """What `pool` was asked for besides the texts and the folder."""

    models: tuple[Any, ...]
    depth: int
    n_queries: int | None
    most_disagreed: int
    seed: int
    batch_size: int
    device: str | None
    results: Path
    language: str | None
    endpoints: Mapping[str, Any]

    @functools.cached_property
    def task(self) -> AbsTask:
        """The search."""
        from genzoo.tasks.judging.search import unjudged_search

        return unjudged_search("pool", self.language)

    @functools.cached_property
    def metas(self) -> list[ModelMeta]:
        """The cards of the models, each once."""
        from genzoo.tasks.request import Request

        return Request(self.models, tasks=(self.task,), **self.endpoints).resolve(log.warning, self.results).metas

    def check(self) -> None:
        """Refuse what cannot be meant, and models that there are not."""
        least = {"depth": 1, "n_queries": 1, "most_disagreed": 0, "batch_size": 1}
        for name, lowest in least.items():
            number = getattr(self, name)
            if number is not None and number < lowest:
                raise InputError(f"{name} is {number}: it must be {lowest} or more")
        if self.depth < SCORED:
            log.warning(
                f"a depth of {self.depth} leaves passages on the places {self.depth + 1} to {SCORED} unjudged, and nDCG@{SCORED} counts these as "
                f"not relevant: -k {SCORED} judges them all"
            )
        if not self.models:
            raise InputError("no model was named: give two or more embedders. See: genzoo list")
        if self.most_disagreed and len(self.metas) < 2:
            raise InputError("one model cannot disagree with itself: give two or more, or leave most_disagreed out")
        _ = self.metas

    def draw(self, texts: Mapping[str, str]) -> Selection | None:
        """The queries to judge, where they do not depend on what the models find; None where they do.

        Raises:
            InputError: The log has fewer queries than are asked for.
        """
        drawn = choose(dict.fromkeys(texts, 0.0), self.n_queries, self.most_disagreed, self.seed)
        return None if drawn.disagreed else drawn


def _disagreements(rankings: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, float]:
    """How much the models disagree on each query."""
    several = list(rankings)
    return {query: disagreement([found[query] for found in several]) for query in several[0]}


def _several(models: Any) -> tuple[Any, ...]:
    """One or several models, or a mapping of names to models."""
    if isinstance(models, Mapping):
        return tuple(models.items())
    several = models if isinstance(models, list | tuple | set) else (models,)
    return tuple(str(one) if isinstance(one, Path) else one for one in several)


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        raise InputError(f"{folder} is a file, but a folder is to be written there: choose another name")
    if folder.is_dir() and not is_pool(folder) and any(not each.name.startswith(".") for each in folder.iterdir()):
        raise InputError(f"{folder} holds other files and no pool: choose a new folder with --output")


def _pooled(asked: _Asked, texts: Mapping[str, str], corpus: Iterable[Passage], folder: Path) -> Pool:
    """Search, choose, shuffle and write; the folder changes at the end, all at once."""
    kept = read_record(folder) if is_pool(folder) else {}
    drawn = _selection(kept) or asked.draw(texts)
    with replace_file(folder / CORPUS) as new:
        passages = copied_corpus(corpus, new)
        digests = {"log": digest_of_texts(texts), "corpus": sha256_of(new)}
        _check_same_texts(folder, kept.get("texts", digests), digests)
        rankings = _search(
            asked, passages, texts if drawn is None else {query: texts[query] for query in drawn.queries}
        )
        scores = _disagreements(rankings.values())
        selection = drawn or choose(scores, asked.n_queries, asked.most_disagreed, asked.seed)
        pairs = {(query, name) for found in rankings.values() for query in selection.queries for name in found[query]}
        pairs |= {(item.query, name) for item in read_items(folder) for name in item.documents} if kept else set()
        content = passages_of(passages, {name for _, name in pairs})
        items = blind_items(pairs, texts, content, asked.seed)
        record = {
            "depth": asked.depth,
            "models": sorted({*kept.get("models", []), *rankings}),
            "selection": asdict(selection),
            "texts": digests,
            "seed": asked.seed,
        }
        write_pool(folder, {query: texts[query] for query in selection.queries}, content, items, record)
    counts = Counter(item.query for item in items)
    chosen = {query: scores[query] for query in selection.queries}
    return Pool(folder, {query: counts[query] for query in chosen}, asked.depth, tuple(rankings), selection, chosen)


def _check_same_texts(folder: Path, kept: Mapping[str, str], now: Mapping[str, str]) -> None:
    for what in ("log", "corpus"):
        if kept.get(what) != now[what]:
            raise InputError(
                f"{folder} holds a pool of another {what}: choose another folder with --output, or remove this one"
            )


def _search(asked: _Asked, corpus: Dataset, texts: Mapping[str, str]) -> dict[str, Mapping[str, list[str]]]:
    """Name of each model -> what it finds."""
    from datasets import Dataset

    from genzoo.tasks.judging.search import first_passages
    from genzoo.tasks.model_session import EncodeSettings
    from genzoo.tasks.random_state import kept_random_state
    from genzoo.tasks.records import labels, model_key

    queries = Dataset.from_dict({"id": list(texts), "text": list(texts.values())})
    settings = EncodeSettings(asked.batch_size, asked.device, cache=asked.results / ".embeddings")
    named, found = labels(asked.metas), dict[str, Mapping[str, list[str]]]()
    for place, meta in enumerate(asked.metas):
        name = named[model_key(meta)]
        report("searching", place, len(asked.metas), name)
        with kept_random_state():
            found[name] = first_passages(meta, asked.task, corpus, queries, asked.depth, settings)
    report("searching", len(asked.metas), len(asked.metas))
    return found


def _selection(kept: Mapping[str, Any]) -> Selection | None:
    """The choice of a pool that is added to: its queries stay the same, whatever further models find."""
    if not kept:
        return None
    made = kept["selection"]
    return Selection(made["n_log"], tuple(made["disagreed"]), tuple(made["drawn"]))
