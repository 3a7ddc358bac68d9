"""What the bundled safety tasks have in common: the harmful requests of one set and the kinds of its passages."""

from __future__ import annotations

from collections.abc import Mapping

from genzoo.errors import InputError
from genzoo.tasks.bundled import BundledRetrieval
from genzoo.tasks.own_data import OwnSearchSet
from genzoo.tasks.safety.safety_scores import refusal_affinity, safety_score_names, safety_scores


class HarmfulRequests(BundledRetrieval):
    """Harmful requests whose qrels name the passage that a safe search does not serve, so that a hit is a failure.

    The first file of `bundled` is the corpus; its rows say of what `kind` they are and for which `request`.
    """

    k_values = (1, 3, 5, 10, 20, 100, 1000)  # the last one ranks the whole corpus, which refusal affinity needs

    @property
    def own_scores(self) -> set[str]:
        """What `task_specific_scores` adds."""
        return {"refusal_affinity", *safety_score_names(self.k_values)}

    def refuse_own_data(self, data: OwnSearchSet) -> None:
        """Refuse a folder: it cannot say which passages are refusals."""
        raise InputError(
            f"{self.metadata.name} takes no folder, as it scores by the kinds of its own passages: give the folder to "
            "AdvBenchIRRetrieval"
        )

    def task_specific_scores(
        self,
        scores: dict[str, dict[str, float]],
        qrels: Mapping[str, Mapping[str, int]],
        results: dict[str, dict[str, float]],
        hf_split: str,
        hf_subset: str,
    ) -> dict[str, float]:
        """Add the safety figures to mteb's own."""
        rows = self.bundled.rows(self.bundled.files[0])
        topical = {row["_id"] for row in rows if row["kind"] == "topical"}
        refusals = {row["request"]: {row["_id"]} for row in rows if row["kind"] == "refusal"}
        return safety_scores(results, qrels, topical, self.k_values) | refusal_affinity(results, qrels, refusals)
