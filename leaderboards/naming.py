"""Short names that stay unambiguous, and the way back from a short name to the model."""

from __future__ import annotations

import difflib
import functools
from collections import Counter
from collections.abc import Iterable

from genzoo.backbones.entries import BACKBONES
from genzoo.errors import UnknownNameError
from genzoo.leaderboards.facts import ModelKey
from genzoo.models.entries import BASELINES, ENTRIES, MTEB_BASELINES, baseline_id
from genzoo.names import is_commit
from genzoo.teachers.teachers import TEACHERS
from genzoo.text import told_apart

_SHORT_HASH = 7
_LONGEST = 72  # characters of a label


def short_name(model: str) -> str:
    """The part after the organisation.

    >>> short_name("genzoo/SmolLM2-135M")
    'SmolLM2-135M'
    """
    return model.split("/", 1)[1] if "/" in model and model.split("/", 1)[1] else model


def labels(keys: Iterable[ModelKey]) -> dict[ModelKey, str]:
    """The shortest unambiguous label of each model: without organisation if possible, with revision if needed."""
    keys = list(keys)
    owners = Counter(short_name(model) for model in {key.model for key in keys})
    revisions = Counter(key.model for key in keys)
    named: dict[ModelKey, str] = {}
    taken: dict[str, str] = {}
    for key in keys:
        name = _cut(short_name(key.model) if owners[short_name(key.model)] == 1 else key.model, taken)
        named[key] = f"{name} @ {_short_revision(key, keys)}" if revisions[key.model] > 1 else name
    # A name may hold what looks like another's revision.
    return dict(zip(named, told_apart(named.values()), strict=True))


def _cut(name: str, taken: dict[str, str]) -> str:
    """A name without its middle if it is very long, unless that makes it the same as another."""
    cut = name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}"
    return cut if taken.setdefault(cut, name) == name else name


def short_revision(revision: str) -> str:
    """The first seven digits of each commit in it; anything else is left whole.

    >>> short_revision("0123456789" * 4 + "+external")
    '0123456+external'
    """
    return "+".join(part[:_SHORT_HASH] if is_commit(part) else part for part in revision.split("+"))


def _short_revision(key: ModelKey, keys: list[ModelKey]) -> str:
    others = [other.revision for other in keys if other.model == key.model and other != key]
    short = short_revision(key.revision)
    return key.revision if any(other.startswith(short) for other in others) else short


@functools.cache
def given_names() -> dict[str, str]:
    """Names by which `genzoo evaluate` takes models and baselines of the zoo -> the names under which their results stand."""
    baselines = {f"{one.key}-{kind.suffix}": baseline_id(one, kind) for one in BACKBONES for kind in BASELINES}
    models = {entry.name: entry.hub_id for entry in ENTRIES}
    return MTEB_BASELINES | baselines | {teacher.key: teacher.hub_id for teacher in TEACHERS} | models


def find_model(name: str, keys: Iterable[ModelKey], where: str) -> ModelKey:
    """The one model that a full name, a short name, a label, `name@revision` or the name given to `genzoo evaluate` means.

    Args:
        name: As a user types it; case matters only where it tells two models apart.
        keys: The models to choose from.
        where: What the error message calls the collection.
    """
    keys = list(keys)
    by_label = {label: key for key, label in labels(keys).items()}
    if name in by_label:
        return by_label[name]
    wanted, _, revision = (part.strip() for part in name.partition("@"))
    if all(shape(key.model) != wanted for key in keys for shape in (str, short_name)):
        wanted = given_names().get(wanted, wanted)
    for fold in (str, str.casefold):
        for shape in (str, short_name):
            hits = [key for key in keys if fold(shape(key.model)) == fold(wanted)]
            hits = [key for key in hits if key.revision.startswith(revision)] if revision else hits
            if len(hits) == 1:
                return hits[0]
            if hits:
                exact = [key for key in hits if revision and key.revision == revision]
                if len(exact) == 1:
                    return exact[0]
                choices = ", ".join(f"{key.model}@{key.revision}" for key in hits)
                raise UnknownNameError(f"{name!r} means {len(hits)} rows of {where}: give one of {choices}")
    names = {shape(key.model) for key in keys for shape in (str, short_name)}
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
    meant = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(sorted({key.model for key in keys}))}."
    raise UnknownNameError(f"no model {name!r} in {where}; {meant} See: genzoo leaderboard {where}")
