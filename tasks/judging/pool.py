"""TREC pooling: the first passages of several embedders, together and in blind order, in a folder that is judged and then measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.files import replace_file, sha256_of
from genzoo.frames import facts_to_html
from genzoo.jobs import as_time, job
from genzoo.tasks.judging.disagreement import Selection, choose, disagreement
from genzoo.tasks.judging.growing import KeptPool
from genzoo.tasks.judging.judgements import PAGE
from genzoo.tasks.judging.passages import Passage, Split, read_passages
from genzoo.tasks.judging.pool_folder import CORPUS, blind_items, passages_of, write_pool
from genzoo.tasks.judging.pool_request import PoolRequest
from genzoo.tasks.judging.texts import copied_corpus, digest_of_texts, each_once, read_log
from genzoo.tasks.own.columns import Columns
from genzoo.text import plural

if TYPE_CHECKING:
    import pandas as pd

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
        left: Query -> those of its passages that nobody has judged yet.
        added: What is new in a pool that was there before, in words; empty for a new one.
    """

    folder: Path
    n_passages: Mapping[str, int]
    depth: int
    models: tuple[str, ...]
    selection: Selection
    disagreement: Mapping[str, float]
    left: Mapping[str, int]
    added: str = ""

    @property
    def page(self) -> Path:
        """The judging page."""
        return self.folder / PAGE

    @property
    def work(self) -> str:
        """How much is left to judge, in words."""
        items, queries = sum(self.left.values()), sum(map(bool, self.left.values()))
        judged = sum(self.n_passages.values()) - items
        if not items:
            return f"nothing: all {plural(judged, 'passage')} are judged"
        text = (
            f"{plural(items, 'passage')} for {plural(queries, 'query')} ({items / queries:.1f} each), about {as_time(items * SECONDS)} at "
            f"{SECONDS} seconds a passage"
        )
        return f"{text}; {judged:,} more are judged already" if judged else text

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with a row for each query: passages to judge, and how much the models disagree."""
        import pandas as pd

        rows = [(query, count, self.disagreement[query]) for query, count in self.n_passages.items()]
        return pd.DataFrame(rows, columns=["query", "passages", "disagreement"])

    def _repr_html_(self) -> str:
        facts = [
            ("added", self.added),
            ("to judge", self.work),
            ("page", str(self.page)),
            ("models", ", ".join(self.models)),
        ]
        return facts_to_html([fact for fact in (*facts, ("choice", self.selection.effect)) if fact[1]])


@job()
def pool(
    queries: Path | str,
    corpus: Path | str,
    models: Any,
    *,
    output: Path | str = "pool",
    depth: int | None = None,
    n_queries: int | None = None,
    most_disagreed: int = 0,
    reopen: bool = False,
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
    with the same text are judged once.

    Called again with the same log, corpus and folder, it adds to the pool: queries for a larger `n_queries`, what further models find, and
    passages for a larger `depth`. Smaller numbers take nothing away, and all judgements stay.

    Args:
        queries: The query log: .txt, .jsonl, .csv, .tsv or .parquet. Each distinct query counts once.
        corpus: A folder of text files or a file of records, see `genzoo.tasks.judging.passages.read_passages`.
        models: One or several models, as `genzoo.evaluate` takes them.
        output: The folder: corpus.jsonl, queries.jsonl, pool.jsonl, pool.json, judge.html, judge.csv and judgements/.
        depth: Passages of each model for each query. Scores up to this rank, such as nDCG@10, then rest on judged passages only.
            By default 10, or the depth of the pool that is added to.
        n_queries: How many queries of the log are to be judged; drawn at random. All of them if None, or those of the pool that is added to.
        most_disagreed: How many of these are instead the ones on which the models disagree most, by rank-biased overlap. This shows
            where they differ with the least work, and biases plain means: `Selection.effect` says how.
        reopen: Whether passages are also added to queries that are judged to the end. These count again only once the new
            passages are judged; without it, such an addition is refused and nothing changes.
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
        InputError: The log, the corpus or a number cannot be used, or the folder holds a pool of other texts. Before anything is loaded;
            only whether complete queries would be reopened is known after the search.
    """
    asked = PoolRequest(
        models=_several(models),
        depth=depth,
        n_queries=n_queries,
        most_disagreed=most_disagreed,
        reopen=reopen,
        seed=seed,
        batch_size=batch_size,
        device=device,
        results=Path(results),
        language=language,
        endpoints={"query_prefix": query_prefix, "document_prefix": document_prefix, "rate_limit": rate_limit},
    )
    asked.check_numbers()
    kept, named = KeptPool.of(Path(output)), Columns.parse(columns)
    texts = {query.id: query.text for query in read_log(Path(queries), named)}
    kept.check_texts("log", digest_of_texts(texts))
    chosen = asked.chosen(kept, each_once(texts, kept.selection.queries if kept.selection else ()))
    asked.check_models()
    return _pooled(asked, kept, chosen, texts, read_passages(Path(corpus), split, named))


def _several(models: Any) -> tuple[Any, ...]:
    """One or several models, or a mapping of names to models."""
    if isinstance(models, Mapping):
        return tuple(models.items())
    several = models if isinstance(models, list | tuple | set) else (models,)
    return tuple(str(one) if isinstance(one, Path) else one for one in several)


def _pooled(
    asked: PoolRequest, kept: KeptPool, chosen: Selection | None, texts: Mapping[str, str], corpus: Iterable[Passage]
) -> Pool:
    """Search, choose, shuffle and write; the folder changes at the end, all at once."""
    folder, depth = kept.folder, asked.depth_of(kept)
    kept.check_models(asked.names, chosen, depth)
    with replace_file(folder / CORPUS) as new:
        passages = copied_corpus(corpus, new)
        digests = {"log": digest_of_texts(texts), "corpus": sha256_of(new)}
        kept.check_texts("corpus", digests["corpus"])
        wanted = each_once(texts) if chosen is None else {query: texts[query] for query in chosen.queries}
        rankings = asked.search(passages, wanted, depth)
        scores = _disagreements(rankings.values())
        selection = chosen or choose(scores, asked.n_queries, asked.most_disagreed, asked.seed)
        pairs = {(query, name) for found in rankings.values() for query in selection.queries for name in found[query]}
        content = passages_of(passages, {name for _, name in pairs | kept.pairs})
        items = blind_items(pairs | kept.pairs, texts, content, asked.seed)
        if not asked.reopen:
            kept.check_complete(items)
        models = sorted({*kept.models, *rankings})
        record = {
            "depth": depth,
            "models": models,
            "selection": asdict(selection),
            "texts": digests,
            "seed": asked.seed,
        }
        write_pool(
            folder, {query: texts[query] for query in selection.queries}, content, items, record, kept.judging.judges
        )
    counts = Counter(item.query for item in items)
    found = {query: scores[query] for query in selection.queries}
    return Pool(
        folder,
        {query: counts[query] for query in found},
        depth,
        tuple(rankings),
        selection,
        found,
        kept.left(items),
        kept.added(items),
    )


def _disagreements(rankings: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, float]:
    """How much the models disagree on each query."""
    several = list(rankings)
    return {query: disagreement([found[query] for found in several]) for query in several[0]}
