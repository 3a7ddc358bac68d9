"""Which commit a Hub name stands for: asked once, written down in the cache, the same from then on."""

from __future__ import annotations

import json
import re

from genzoo.errors import BackboneError
from genzoo.files import write_text
from genzoo.text import first_line

COMMIT = re.compile(r"[0-9a-f]{40}")
RECORD = "revisions.json"


def is_commit(revision: str) -> bool:
    """Whether a revision is a full commit, which never moves, unlike a branch or a tag.

    >>> is_commit("main"), is_commit("a" * 40)
    (False, True)
    """
    return COMMIT.fullmatch(revision) is not None


def recorded_commits() -> dict[str, str]:
    """Repository -> commit, for every name that was resolved on this machine before."""
    from genzoo.files import cache_root

    path = cache_root() / RECORD
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise BackboneError(f"{path} is damaged ({error}): delete it, its commits are asked for again") from error


def resolve_commit(repo_id: str, revision: str | None = None) -> str:
    """The commit of a Hub repository: the given one, the recorded one, or what its main branch is now, recorded from then on.

    Args:
        repo_id: ``org/name``.
        revision: A commit, returned as it is; a branch or tag, asked for; None for the main branch.

    Raises:
        BackboneError: When the Hub cannot be asked, or does not have it; the message tells what to run.
    """
    from genzoo.files import cache_root

    known = known_commit(repo_id, revision)
    if known:
        return known
    rows = recorded_commits() | {_name(repo_id, revision): _ask(repo_id, revision)}
    write_text(cache_root() / RECORD, json.dumps(rows, indent=1, sort_keys=True) + "\n")
    return rows[_name(repo_id, revision)]


def known_commit(repo_id: str, revision: str | None = None) -> str | None:
    """The commit, where no one has to be asked for it."""
    return revision if revision and is_commit(revision) else recorded_commits().get(_name(repo_id, revision))


def _name(repo_id: str, revision: str | None) -> str:
    return f"{repo_id}@{revision}" if revision else repo_id


def _ask(repo_id: str, revision: str | None) -> str:
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(repo_id, revision=revision).sha
    except Exception as error:
        raise hub_error(repo_id, error) from error
    if not commit:
        raise BackboneError(f"the Hub names no commit for {repo_id}: give one, as in {repo_id}@<40-hex commit>")
    return commit


def hub_error(repo_id: str, error: Exception) -> BackboneError:
    """What to do about a Hub that does not serve a repository; a gate looks like a missing repository to strangers."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    page = f"https://huggingface.co/{repo_id}"
    if isinstance(error, GatedRepoError):
        return BackboneError(f"{repo_id} is gated: accept its licence at {page} and run `hf auth login`")
    if isinstance(error, RepositoryNotFoundError):
        return BackboneError(
            f"the Hub has no {repo_id} for you: check the name; if {page} asks for a licence, accept it there, and run "
            "`hf auth login`"
        )
    return BackboneError(f"the Hub does not serve {repo_id} ({type(error).__name__}: {first_line(error)})")
