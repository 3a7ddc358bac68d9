"""mteb's tasks over a user's own data: mteb measures, the data and what is said of them are the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from mteb.abstasks import (
    AbsTask,
    AbsTaskClassification,
    AbsTaskClustering,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.languages import check_language_code

from genzoo.errors import InputError
from genzoo.tasks.own.digests import OWN
from genzoo.tasks.own.labelled import OwnLabelled
from genzoo.tasks.own.search import OwnSearch

_BASES: dict[str, tuple[type[AbsTask], str]] = {
    "Retrieval": (AbsTaskRetrieval, "ndcg_at_10"),
    "Reranking": (AbsTaskRetrieval, "map_at_1000"),
    "STS": (AbsTaskSTS, "cosine_spearman"),
    "PairClassification": (AbsTaskPairClassification, "max_ap"),
    "Classification": (AbsTaskClassification, "accuracy"),
    "Clustering": (AbsTaskClustering, "v_measure"),
}
"""mteb's type -> its class and the main score that its benchmarks take."""


def task_over(data: OwnSearch | OwnLabelled, name: str, kind: str, languages: Sequence[str] = ("eng-Latn",)) -> AbsTask:
    """The task of mteb's type `kind` over own data.

    Args:
        data: What was read.
        name: What the task is called.
        kind: mteb's type: Retrieval, Reranking, STS, PairClassification, Classification or Clustering.
        languages: As mteb writes them, such as ``eng-Latn``; BM25 takes its stemmer by them.

    Raises:
        InputError: For a language that mteb does not know.
    """
    base, main_score = _BASES[kind]
    try:
        for language in languages:
            check_language_code(language)
    except ValueError as error:
        given = ",".join(languages)
        raise InputError(f"--language {given!r}: expected a code such as eng-Latn or deu-Latn ({error})") from error
    metadata = TaskMetadata(
        name=name,
        description=f"{kind} over own data.",
        dataset={"path": f"{OWN}{name}", "revision": data.revision},
        type=cast(Any, kind),
        category="t2c" if kind in ("Classification", "Clustering") else "t2t",
        eval_splits=list(data.splits),
        eval_langs=list(languages),
        main_score=main_score,
    )
    made: AbsTask = own_class(base, data, metadata, **(data.settings() if isinstance(data, OwnLabelled) else {}))()
    return made


def own_class(
    base: type[AbsTask], data: OwnSearch | OwnLabelled, own_metadata: TaskMetadata, **fields: Any
) -> type[AbsTask]:
    """A class of its own over some data; mteb drops what is set on an instance when it unloads the data.

    Args:
        base: The task that measures.
        data: What it reads.
        own_metadata: What is said of the task.
        fields: Further attributes of the class.
    """

    class OwnTask(base):  # type: ignore[misc, valid-type]
        metadata, own_data = own_metadata, data
        data_loaded: bool

        @property
        def prediction_file_name(self) -> str:
            return f"{own_metadata.name}_predictions.json"

        def resolve_revision(self) -> None:
            pass

        def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
            if not self.data_loaded:
                self.dataset = data.loaded(own_metadata.hf_subsets[0])
                self.data_loaded = True

    OwnTask.__name__ = OwnTask.__qualname__ = base.__name__
    for name, value in fields.items():
        setattr(OwnTask, name, value)
    return OwnTask
