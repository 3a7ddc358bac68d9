"""Several revisions of one model in one row, by mteb's rule, and what each of them gives to it.

Published trees scatter one model over folders: some tasks under one commit, some under another, some under `external`,
which is what was parsed from model cards. mteb's boards join them, so a board that is to equal mteb's has to. Runs of
`genzoo evaluate` are never joined: each is a model of its own with a record of how it ran.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from packaging.version import InvalidVersion, Version

from genzoo.leaderboards.facts import EXTERNAL, ModelFacts, ModelKey, Share
from genzoo.leaderboards.reading.reported import is_written_down
from genzoo.leaderboards.reading.store import ResultStore


class _Group(NamedTuple):
    """The folders that one row is made of: the revisions of a model under the same keyword arguments."""

    model: str
    variant: str


def join_revisions(store: ResultStore, registered: Mapping[str, str | None] | None = None) -> ResultStore:
    """The same store with one row per published model, as mteb's `BenchmarkResults.join_revisions` makes it.

    Task by task one revision counts: the registered one before others, then one that states its mteb version, then one
    that is not `external`, then the newest mteb version; among equals the first by name. A joined model has the
    revisions that count in its own, `a+b`, and lists all of them in `ModelFacts.revisions`.

    Args:
        store: As loaded, revisions apart.
        registered: Model to the revision that mteb's registry names; without it that part of the rule is left out.
    """
    places = _places(store)
    if places.empty:
        return store
    chosen = _chosen(places, store, registered or {})
    shares = _shares(places, chosen)
    keys = {key: _joined_key(group, found) for group, found in shares.items() for key in _members(group, found)}
    frame = _kept(store.main_scores, keys, set(zip(chosen["model"], chosen["revision"], chosen["task"], strict=True)))
    sources = set(frame["source"].astype(object))
    return dataclasses.replace(
        store,
        main_scores=frame,
        files=tuple(
            file._replace(key=ModelKey(*keys.get(file.key, file.key)))
            for file in store.files
            if file.key not in keys or file.source in sources
        ),
        models=_models(store, shares),
        evidence={ModelKey(*keys.get(key, key)): examples for key, examples in store.evidence.items()},
        readings={ModelKey(*keys.get(key, key)): examples for key, examples in store.readings.items()},
    )


def _kept(
    main: pd.DataFrame, keys: Mapping[ModelKey, ModelKey], wins: Collection[tuple[str, str, str]]
) -> pd.DataFrame:
    """The main scores that count, under the keys of their joined rows."""
    # By codes, once for each model, revision and task: a public repository has 700,000 rows.
    columns = [main[name].cat for name in ("model", "revision", "task")]
    codes = np.stack([column.codes.to_numpy() for column in columns])
    found, place = np.unique(codes, axis=1, return_inverse=True)
    places = [
        tuple(str(column.categories[code]) for column, code in zip(columns, each, strict=True)) for each in found.T
    ]
    is_kept = np.array([place[:2] not in keys or place in wins for place in places], dtype=bool)[place]
    revisions = np.array([keys.get(ModelKey(*place[:2]), place)[1] for place in places], dtype=object)[place[is_kept]]
    frame = main[is_kept].reset_index(drop=True)
    frame["revision"] = pd.Categorical(revisions)
    return frame


def has_rivals(store: ResultStore) -> bool:
    """Whether some task of a model has a score under two revisions, so that it matters which one is registered."""
    places = _places(store)
    return bool(places.duplicated(["model", "variant", "task"]).any())


def _places(store: ResultStore) -> pd.DataFrame:
    """One row per task of each revision that may be joined: its group, and the first mteb version that it states."""
    groups: dict[_Group, list[ModelKey]] = {}
    for key, facts in store.models.items():
        if not facts.has_environment and not is_written_down(key):
            groups.setdefault(_group(key), []).append(key)
    wanted = {key for members in groups.values() if len(members) > 1 for key in members}
    main, columns = store.main_scores, ["model", "revision", "task", "split", "mteb_version"]
    if not wanted:
        return pd.DataFrame(columns=[*columns, "variant"])
    several = main["model"].isin({key.model for key in wanted})
    rows = main.loc[several, columns].drop_duplicates().astype(object)
    is_wanted = [key in wanted for key in zip(rows["model"], rows["revision"], strict=True)]
    # A split that the task does not ask for is not a result of it.
    splits = {name: facts.splits for name, facts in store.tasks.items() if facts.splits}
    is_asked = [
        task not in splits or split in splits[task] for task, split in zip(rows["task"], rows["split"], strict=True)
    ]
    rows = rows[np.array(is_wanted, dtype=bool) & np.array(is_asked, dtype=bool)]
    rows = rows.drop_duplicates(["model", "revision", "task"]).drop(columns="split")
    return rows.assign(variant=[_variant(revision) for revision in rows["revision"]])


def _chosen(places: pd.DataFrame, store: ResultStore, registered: Mapping[str, str | None]) -> pd.DataFrame:
    """The row of `places` that counts, for each group and task."""
    versions = {text: _version(text) for text in places["mteb_version"].unique()}
    newest = sorted({version for version in versions.values() if version is not None})
    age = {text: -1 if version is None else newest.index(version) for text, version in versions.items()}
    order = {key: number for number, key in enumerate(sorted(store.models))}
    commits = [_commit(revision) for revision in places["revision"]]
    ranked = places.assign(
        registered=[registered.get(m) == commit for m, commit in zip(places["model"], commits, strict=True)],
        stated=[age[text] >= 0 for text in places["mteb_version"]],
        measured=[commit != EXTERNAL for commit in commits],
        age=[age[text] for text in places["mteb_version"]],
        order=[order[ModelKey(*key)] for key in zip(places["model"], places["revision"], strict=True)],
    )
    by = ["registered", "stated", "measured", "age", "order"]
    ranked = ranked.sort_values(by, ascending=[False, False, False, False, True], kind="stable")
    return ranked.drop_duplicates(["model", "variant", "task"])


def _shares(places: pd.DataFrame, chosen: pd.DataFrame) -> dict[_Group, tuple[Share, ...]]:
    """What each revision of a group holds and gives, the one that gives most first."""
    used = chosen.groupby(["model", "revision"]).size().to_dict()
    held = places.groupby(["model", "revision"]).size().to_dict()
    found: dict[_Group, list[Share]] = {}
    for (model, revision), number in held.items():
        found.setdefault(_group(ModelKey(model, revision)), []).append(
            Share(revision, int(used.get((model, revision), 0)), int(number))
        )
    ordered = {group: sorted(each, key=lambda s: (-s.used, s.revision)) for group, each in found.items()}
    return {group: tuple(each) for group, each in ordered.items() if len(each) > 1}


def _members(group: _Group, shares: Sequence[Share]) -> list[ModelKey]:
    return [ModelKey(group.model, share.revision) for share in shares]


def _joined_key(group: _Group, shares: Sequence[Share]) -> ModelKey:
    commits = [_commit(share.revision) for share in shares if share.used]
    return ModelKey(group.model, "+".join([*commits, *filter(None, [group.variant])]))


def _models(store: ResultStore, shares: Mapping[_Group, tuple[Share, ...]]) -> dict[ModelKey, ModelFacts]:
    """The facts, those of a joined row from the revision that gives most; what it does not state from the next."""
    joined = {}
    for group, found in shares.items():
        first, *others = (store.models[key] for key in _members(group, found))
        known: dict[str, Any] = {
            name: next((value for each in (first, *others) if (value := getattr(each, name)) is not None), None)
            for name in ("n_parameters", "embed_dim", "max_tokens", "training_datasets")
        }
        key = _joined_key(group, found)
        is_reported = all(store.models[member].is_reported for member in _members(group, found))
        joined[key] = dataclasses.replace(first, key=key, revisions=found, is_reported=is_reported, **known)
    gone = {key for group, found in shares.items() for key in _members(group, found)}
    models = {key: facts for key, facts in store.models.items() if key not in gone} | joined
    return dict(sorted(models.items(), key=lambda item: (item[0].model.casefold(), item[0].revision)))


def _group(key: ModelKey) -> _Group:
    return _Group(key.model, _variant(key.revision))


def _commit(revision: str) -> str:
    return revision.split("+", 1)[0]


def _variant(revision: str) -> str:
    return revision.split("+", 1)[1] if "+" in revision else ""


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None  # "unknown", or a range
