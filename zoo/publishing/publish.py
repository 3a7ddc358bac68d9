"""Carrying out a plan: one commit that is whole or not there, read back before anything points to it; and collections."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from genzoo.backbones.sources import Status
from genzoo.errors import InputError, PublishError
from genzoo.jobs import job
from genzoo.publishing.hub import Sleep, attempt, connect, explain, is_transient, status_of
from genzoo.publishing.plan import REPO_ID, PlannedFile, PublishPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huggingface_hub import HfApi


_OWN = {".gitattributes"}
"""What the Hub itself puts into a repository."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it: sha256 for a large file, git's hash of the content for any other."""

    size: int
    sha256: str | None
    git_hash: str


@dataclass(frozen=True)
class RemoteState:
    """A repository's newest commit."""

    head: str
    is_private: bool
    files: dict[str, RemoteFile]

    def holds(self, plan: PublishPlan) -> bool:
        """Whether it is exactly what the plan would make."""
        own = {path: file for path, file in self.files.items() if path not in _OWN}
        return set(own) == {file.path for file in plan.files} and all(
            is_same(file, own[file.path]) for file in plan.files
        )

    @property
    def is_empty(self) -> bool:
        """Whether nobody has put anything in yet."""
        return set(self.files) <= _OWN


@dataclass(frozen=True)
class Published:
    """What is on the Hub now.

    Attributes:
        commit: 40 hex characters: what to load by.
        url: Page of that commit.
        tag: The tag that points to it, or None.
        is_new: False where an earlier, interrupted run had already written it.
    """

    commit: str
    url: str
    tag: str | None
    is_new: bool


def publish(plan: PublishPlan, api: HfApi, status: Status = lambda _: None, sleep: Sleep = time.sleep) -> Published:
    """Create the repository, write one commit, read it back, tag it, and only then let it be seen.

    Whatever goes wrong, the repository holds either what it held before (nothing, where it is new) or the whole model, and
    the same command run again finishes.

    Raises:
        PublishError: Says what went wrong, what the repository holds now, and what to do.
    """
    if plan.problems:
        raise PublishError(f"{len(plan.problems)} problems stand in the way: " + "; ".join(plan.problems))
    written: list[str] = []
    try:
        return _publish(plan, api, status, sleep, written)
    except PublishError:
        raise
    except Exception as error:  # noqa: BLE001 - it is told in full, without the request that holds the token
        now = (
            f"{plan.repo_id} holds the whole model (commit {written[0]})" if written else f"{plan.repo_id} is as it was"
        )
        raise PublishError(f"{explain(error, plan.repo_id)}. {now}") from None  # the cause's request holds the token


def _publish(plan: PublishPlan, api: HfApi, status: Status, sleep: Sleep, written: list[str]) -> Published:
    status("asking the Hub who you are")
    attempt(api.whoami, sleep)
    state = _open_repository(plan, api, sleep)
    _check_tag(plan, api, state, sleep)
    _hide(plan, api, state, sleep)
    was_complete, was_empty = state.holds(plan), state.is_empty
    commit = state.head
    if not was_complete:
        if not (was_empty or plan.overwrite):
            raise PublishError(
                f"{plan.repo_id} holds another model ({len(state.files)} files, commit {state.head[:12]}): choose another name, or "
                "replace it with --overwrite"
            )
        status(f"uploading {len(plan.files)} files ({plan.size / 1e6:.1f} MB) in one commit")
        commit = _commit(plan, api, state, sleep)
    written.append(commit)
    status("reading back what was written")
    attempt(lambda: check_remote(plan, api, commit), sleep)
    if plan.tag:
        status(f"tagging {plan.tag}")
        attempt(lambda: _tag(plan, api, commit), sleep)
    if (was_empty or was_complete) and state.is_private and not plan.is_private:
        attempt(lambda: api.update_repo_settings(plan.repo_id, private=False), sleep)
    return Published(commit, f"{api.endpoint}/{plan.repo_id}/tree/{commit}", plan.tag, not was_complete)


def _open_repository(plan: PublishPlan, api: HfApi, sleep: Sleep) -> RemoteState:
    """The repository's state; a missing one is made first, hidden until it is whole."""
    state = attempt(lambda: read_state(api, plan.repo_id), sleep)
    if state is not None:
        return state
    # A repository that came into being meanwhile (another publisher, or a lost answer) is then read like any other.
    attempt(lambda: api.create_repo(plan.repo_id, private=True, exist_ok=True), sleep)
    state = attempt(lambda: read_state(api, plan.repo_id), sleep)
    if state is None:
        raise PublishError(f"{plan.repo_id} was made, but the Hub does not show it yet: run the same command again")
    return state


def _hide(plan: PublishPlan, api: HfApi, state: RemoteState, sleep: Sleep) -> None:
    """Before anything is sent, make sure that what shall stay private will not be seen on the way."""
    if not plan.is_private or state.is_private:
        return
    if not state.is_empty:
        raise PublishError(
            f"{plan.repo_id} is public and holds {len(state.files)} files, so --private would show the model to everybody: hide the "
            "repository on its settings page first, or choose another name"
        )
    attempt(lambda: api.update_repo_settings(plan.repo_id, private=True), sleep)


def read_state(api: HfApi, repo_id: str, revision: str | None = None) -> RemoteState | None:
    """What a repository holds, or None where there is none (or it is hidden from this token)."""
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        info = api.model_info(repo_id, revision=revision)
    except RepositoryNotFoundError:
        return None
    head = str(info.sha)
    rows = [row for row in api.list_repo_tree(repo_id, recursive=True, revision=head) if isinstance(row, RepoFile)]
    files = {row.path: RemoteFile(row.size, row.lfs.sha256 if row.lfs else None, row.blob_id) for row in rows}
    return RemoteState(head, bool(info.private), files)


def is_same(file: PlannedFile, remote: RemoteFile) -> bool:
    """Whether a file on the Hub has the planned content, by its sha256 or git's hash of its bytes."""
    if remote.size != file.size:
        return False
    if remote.sha256 is not None:
        return remote.sha256 == file.sha256
    data = file.source.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == remote.git_hash


def _commit(plan: PublishPlan, api: HfApi, state: RemoteState, sleep: Sleep) -> str:
    """One commit on top of the state that was looked at; an answer that got lost is found again."""
    for place in range(3):
        try:
            operations = _operations(plan, state)  # made anew: the library marks them as it goes
            done = api.create_commit(
                plan.repo_id,
                operations,
                commit_message=f"Publish {plan.repo_id.rpartition('/')[2]}",
                parent_commit=state.head,
            )
            return str(done.oid)
        except Exception as error:
            now = attempt(lambda: read_state(api, plan.repo_id), sleep)
            if now is not None and now.head != state.head:
                if now.holds(plan):
                    return now.head
                raise PublishError(f"{explain_conflict(plan)}. What it holds now is theirs") from None
            if not is_transient(error) or place == 2:
                raise
            sleep(2.0**place)
    raise AssertionError


def explain_conflict(plan: PublishPlan) -> str:
    """What to do after somebody else's commit."""
    return (
        f"somebody else wrote to {plan.repo_id} in between: look at it, then run the same command again (with --overwrite to "
        "replace what they wrote)"
    )


def _operations(plan: PublishPlan, state: RemoteState) -> list[Any]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    planned = {file.path for file in plan.files}
    gone = [CommitOperationDelete(path) for path in state.files if path not in planned | _OWN]
    return [CommitOperationAdd(file.path, str(file.source)) for file in plan.files] + gone


def check_remote(plan: PublishPlan, api: HfApi, commit: str) -> None:
    """Read a commit back and compare the sha256 of every file with the plan.

    Large files are compared by the sha256 under which the Hub stores them; all others are fetched.

    Raises:
        PublishError: Names the first file that differs.
    """
    state = read_state(api, plan.repo_id, commit)
    found = {path: file for path, file in state.files.items() if path not in _OWN} if state else {}
    if other := sorted(set(found) ^ {file.path for file in plan.files}):
        raise PublishError(
            f"{plan.repo_id} at {commit[:12]} has other files than were sent ({', '.join(other[:5])}): delete the repository"
        )
    for file in plan.files:
        sha256 = found[file.path].sha256 or hashlib.sha256(_fetch(api, plan.repo_id, file.path, commit)).hexdigest()
        if sha256 != file.sha256:
            raise PublishError(
                f"{file.path} in {plan.repo_id} at {commit[:12]} has sha256 {sha256[:12]}, sent was {file.sha256[:12]}: delete the repository"
            )


def _fetch(api: HfApi, repo_id: str, path: str, commit: str) -> bytes:
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    answer = get_session().get(
        hf_hub_url(repo_id, path, revision=commit, endpoint=api.endpoint),
        headers=build_hf_headers(token=api.token),
        follow_redirects=True,
    )
    hf_raise_for_status(answer)
    return answer.content


def _find_tag(plan: PublishPlan, api: HfApi) -> str | None:
    tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(plan.repo_id).tags}
    return tags.get(str(plan.tag))


def _check_tag(plan: PublishPlan, api: HfApi, state: RemoteState, sleep: Sleep) -> None:
    """Refuse before the upload what the tag would refuse after it."""
    if not plan.tag:
        return
    target = attempt(lambda: _find_tag(plan, api), sleep)
    if target is not None and not (state.holds(plan) and target == state.head):
        raise PublishError(
            f"the tag {plan.tag} of {plan.repo_id} points to commit {target[:12]} already: choose another --tag"
        )


def _tag(plan: PublishPlan, api: HfApi, commit: str) -> None:
    try:
        api.create_tag(plan.repo_id, tag=str(plan.tag), revision=commit)
    except Exception as error:
        # An earlier try may have made it, its answer lost.
        if status_of(error) != 409 or _find_tag(plan, api) != commit:
            raise


class Collection(NamedTuple):
    """A collection on the Hub: its address, and the models in it in order."""

    url: str
    models: tuple[str, ...]


@job("grouping the models")
def collection(
    title: str, repos: Sequence[str], *, namespace: str | None = None, description: str = "", private: bool = False
) -> Collection:
    """Group published models of one release in a collection on the Hub.

    Args:
        title: Title of the collection; with the namespace it decides which one is meant.
        repos: ``org/name`` of each model.
        namespace: User or organisation; that of the first model by default.
        description: Shown under the title, at most 150 characters.
        private: Hide a new collection.

    Raises:
        PublishError: When a model is not on the Hub, before anything is made; or when the Hub refuses.
    """
    return group_models(title, repos, connect(), namespace=namespace, description=description, is_private=private)


def group_models(
    title: str,
    repo_ids: Sequence[str],
    api: HfApi,
    *,
    namespace: str | None = None,
    description: str = "",
    is_private: bool = False,
    sleep: Sleep = time.sleep,
) -> Collection:
    """Put published models into a collection; both are left as they are where they exist already.

    Args:
        title: Of the collection; with the namespace it decides which one is meant.
        repo_ids: ``org/name`` of each model.
        api: Client of the Hub.
        namespace: User or organisation; that of the first model by default.
        description: Shown under the title, at most 150 characters.
        is_private: Whether a new collection is hidden.
        sleep: Waits between tries.

    Raises:
        PublishError: When a model is not on the Hub, before anything is made; or when the Hub refuses.
    """
    wrong = [repo_id for repo_id in repo_ids if not REPO_ID.fullmatch(repo_id)]
    if wrong or not repo_ids:
        raise InputError(
            f"{wrong[0] if wrong else 'no model'} is no name of a repository: give org/name, once or more often"
        )
    try:
        missing = [repo_id for repo_id in repo_ids if attempt(partial(read_state, api, repo_id), sleep) is None]
        if missing:
            raise PublishError(
                f"{', '.join(missing)} is not on the Hub (or hidden from this token): publish it first. Nothing was made"
            )
        owner = namespace or repo_ids[0].partition("/")[0]
        options: dict[str, Any] = {
            "namespace": owner,
            "description": description[:150] or None,
            "private": is_private,
            "exists_ok": True,
        }
        made = attempt(partial(api.create_collection, title, **options), sleep)
        for repo_id in repo_ids:
            made = attempt(partial(api.add_collection_item, made.slug, repo_id, "model", exists_ok=True), sleep)
    except PublishError:
        raise
    except Exception as error:  # noqa: BLE001 - it is told in full, without the request that holds the token
        raise PublishError(
            f"{explain(error, repo_ids[0])}. What was added to the collection stays; run the same command again"
        ) from None
    return Collection(made.url, tuple(item.item_id for item in made.items))
