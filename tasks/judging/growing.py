"""A pool that is added to: it keeps its queries, passages and judgements, and says beforehand what an addition does to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genzoo.errors import InputError
from genzoo.tasks.judging.disagreement import Selection
from genzoo.tasks.judging.judgement_files import FOLDER
from genzoo.tasks.judging.judgements import QUERIES, Judging, PoolItem, is_pool, read_judging
from genzoo.text import plural


@dataclass(frozen=True)
class KeptPool:
    """A pool as it is before something is added; without items where the folder holds none yet."""

    folder: Path
    judging: Judging

    @classmethod
    def of(cls, folder: Path) -> KeptPool:
        """The pool in a folder.

        Raises:
            InputError: The folder is a file, or holds something else than a pool; or a file of judgements cannot be read.
        """
        if folder.is_file():
            raise InputError(f"{folder} is a file, but a folder is to be written there: choose another name")
        if is_pool(folder):
            return cls(folder, read_judging(folder))
        if folder.is_dir() and any(not each.name.startswith(".") for each in folder.iterdir()):
            raise InputError(f"{folder} holds other files and no pool: choose a new folder with --output")
        return cls(folder, Judging(folder, (), {}))

    @property
    def selection(self) -> Selection | None:
        """The queries of the pool; None where there is no pool yet."""
        made = self.judging.made.get("selection")
        return made and Selection(made["n_log"], tuple(made["disagreed"]), tuple(made["drawn"]))

    @property
    def depth(self) -> int:
        """Passages of each model for each query; 0 where there is no pool yet."""
        return int(self.judging.made.get("depth", 0))

    @property
    def models(self) -> list[str]:
        """Names of the models whose first passages are in it."""
        return list(self.judging.made.get("models", ()))

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """Ids of queries and passages."""
        return {(item.query, name) for item in self.judging.items for name in item.documents}

    def check_texts(self, what: str, digest: str) -> None:
        """Refuse another log or corpus than the pool's."""
        if self.judging.made and self.judging.made.get("texts", {}).get(what) != digest:
            raise InputError(
                f"{self.folder} holds a pool of another {what}: choose another folder with --output, or remove this one"
            )

    def check_models(self, names: Iterable[str], chosen: Selection | None, depth: int) -> None:
        """Refuse to add queries or depth without every model of the pool: those that are missing would find nothing there.

        Raises:
            InputError: Some are missing.
        """
        missing = [name for name in self.models if name not in set(names)]
        is_larger = self.selection is not None and (depth > self.depth or chosen != self.selection)
        if missing and is_larger:
            raise InputError(
                f"{self.folder} was pooled with {', '.join(self.models)}. More queries or a larger depth need the same models, or "
                f"the others are at an advantage: add {', '.join(missing)} with -m"
            )

    def check_complete(self, items: Sequence[PoolItem]) -> None:
        """Refuse to add passages to queries that are judged to the end.

        Raises:
            InputError: It says how many queries would no longer count, and what to do instead.
        """
        complete, known = self.judging.complete, {item.item for item in self.judging.items}
        new = [item for item in items if item.query in complete and item.item not in known]
        if new:
            reopened = {item.query for item in new}
            raise InputError(
                f"{self.folder}: this adds {plural(len(new), 'passage')} to queries that are judged to the end, and these count "
                f"again only once the new passages are judged: {len(complete):,} -> {len(complete) - len(reopened):,} complete "
                "queries. Nothing was changed. Add --reopen to go on; or pool the same queries in a new folder and copy "
                f"{FOLDER}/ into it, with --queries {self.folder / QUERIES} and another --output in place of the log, -n and "
                "this folder: this pool then stays as it is. More queries (-n) with the same models and depth reopen none"
            )

    def added(self, items: Sequence[PoolItem]) -> str:
        """What is new in the pool, in words; empty for a new pool."""
        if not self.judging.items:
            return ""
        known = {item.item for item in self.judging.items}
        passages = sum(item.item not in known for item in items)
        queries = len({item.query for item in items} - self.judging.queries.keys())
        if not passages:
            return "nothing: the pool held all of this"
        parts = [plural(queries, "query")] * bool(queries) + [plural(passages, "passage")]
        return f"{' and '.join(parts)}; all judgements stay"

    def left(self, items: Sequence[PoolItem]) -> Mapping[str, int]:
        """Query -> passages of it that nobody has judged yet."""
        seen = self.judging.grades
        found = dict.fromkeys((item.query for item in items), 0)
        for item in items:
            found[item.query] += item.item not in seen
        return found
