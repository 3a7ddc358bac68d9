"""Carrying out a plan: one commit that is whole or not there, read back before anything points to it; and collections."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from genzoo.errors import InputError, PublishError
from genzoo.hub import Sleep, attempt, connect, explain, explain_conflict, is_transient, status_of
from genzoo.jobs import job
from genzoo.publishing.plan import REPO_ID, PlannedFile, PublishPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile


log = logging.getLogger(__name__)
_OWN = {".gitattributes"}
"""What the Hub itself puts into a repository."""


@dataclass(frozen=True)
class RemoteState:
    """A commit of a repository, without the Hub's own files.

    Attributes:
        head: The commit.
        is_private: Whether the repository is hidden.
        files: Path -> what the Hub says of the file.
    """

    head: str
    is_private: bool
    files: dict[str, RepoFile]

    def holds(self, plan: PublishPlan) -> bool:
        """Whether it is exactly what the plan would make."""
        is_whole = set(self.files) == {file.path for file in plan.files}
        return is_whole and all(is_same(file, self.files[file.path]) for file in plan.files)


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


def publish(plan: PublishPlan, api: HfApi, sleep: Sleep = time.sleep) -> Published:
    """Create the repository, write one commit, read it back, tag it, and only then let it be seen.

    Whatever goes wrong, the repository holds either what it held before (nothing, where it is new) or the whole model, and
    the same command run again finishes.

    Raises:
        PublishError: Says what went wrong, what the repository holds now, and what to do.
    """
    if plan.problems:
        raise PublishError(f"nothing was sent; to be solved first: {'; '.join(plan.problems)}")
    written: list[str] = []
    try:
        return _publish(plan, api, sleep, written)
    except PublishError:
        raise
    except Exception as error:  # noqa: BLE001
        now = f"holds the whole model (commit {written[0]})" if written else "is as it was"
        # Without the cause, whose request holds the token.
        raise PublishError(f"{explain(error, plan.repo_id)}. {plan.repo_id} {now}") from None


def _publish(plan: PublishPlan, api: HfApi, sleep: Sleep, written: list[str]) -> Published:
    log.info("asking the Hub who you are")
    attempt(api.whoami, sleep)
    state = _open_repository(plan, api, sleep)
    _check_tag(plan, api, state, sleep)
    _hide(plan, api, state, sleep)
    was_complete, was_empty = state.holds(plan), not state.files
    commit = state.head
    if not was_complete:
        if not (was_empty or plan.overwrite):
            held = f"{plan.repo_id} holds another model ({len(state.files)} files, commit {state.head[:12]})"
            raise PublishError(f"{held}: choose another name, or replace it with --overwrite")
        log.info(f"uploading {len(plan.files)} files ({plan.size / 1e6:.1f} MB) in one commit")
        commit = _commit(plan, api, state, sleep)
    written.append(commit)
    log.info("reading back what was written")
    attempt(lambda: check_remote(plan, api, commit), sleep)
    if plan.tag:
        log.info(f"tagging {plan.tag}")
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
    """Hide an empty repository before anything private is sent to it."""
    if not plan.is_private or state.is_private:
        return
    if state.files:
        held = f"{plan.repo_id} is public and holds {len(state.files)} files, so everybody would see the private model"
        raise PublishError(f"{held}: hide the repository on its settings page, or choose another name")
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
    return RemoteState(head, bool(info.private), {row.path: row for row in rows if row.path not in _OWN})


def is_same(file: PlannedFile, remote: RepoFile) -> bool:
    """Whether a file on the Hub has the planned content, by its sha256 or git's hash of its bytes."""
    from huggingface_hub.utils.sha import git_hash

    if remote.size != file.size:
        return False
    return remote.lfs.sha256 == file.sha256 if remote.lfs else git_hash(file.source.read_bytes()) == remote.blob_id


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
                raise PublishError(explain_conflict(plan.repo_id)) from None
            if not is_transient(error) or place == 2:
                raise
            sleep(2.0**place)
    raise AssertionError


def _operations(plan: PublishPlan, state: RemoteState) -> list[Any]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    planned = {file.path for file in plan.files}
    gone = [CommitOperationDelete(path) for path in state.files if path not in planned]
    return [CommitOperationAdd(file.path, str(file.source)) for file in plan.files] + gone


def check_remote(plan: PublishPlan, api: HfApi, commit: str) -> None:
    """Read a commit back and compare the sha256 of every file with the plan.

    Large files are compared by the sha256 under which the Hub stores them; all others are fetched.

    Raises:
        PublishError: Names the first file that differs.
    """
    state, place = read_state(api, plan.repo_id, commit), f"{plan.repo_id} at {commit[:12]}"
    found = state.files if state else {}
    if other := sorted(set(found) ^ {file.path for file in plan.files}):
        raise PublishError(f"{place} has other files than were sent ({', '.join(other[:5])}): delete the repository")
    for file in plan.files:
        lfs = found[file.path].lfs
        sha256 = lfs.sha256 if lfs else hashlib.sha256(_fetch(api, plan.repo_id, file.path, commit)).hexdigest()
        if sha256 != file.sha256:
            differs = f"{file.path} in {place} has sha256 {sha256[:12]}, sent was {file.sha256[:12]}"
            raise PublishError(f"{differs}: delete the repository")


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
        known = f"the tag {plan.tag} of {plan.repo_id} points to commit {target[:12]} already"
        raise PublishError(f"{known}: choose another --tag")


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
    title: str,
    repos: Sequence[str],
    *,
    namespace: str | None = None,
    description: str = "",
    private: bool = False,
    api: HfApi | None = None,
) -> Collection:
    """Group published models of one release in a collection on the Hub; both are left as they are where they exist already.

    Args:
        title: Title of the collection; with the namespace it decides which one is meant.
        repos: ``org/name`` of each model.
        namespace: User or organisation that owns the collection; the first model's by default.
        description: Shown under the title, at most 150 characters.
        private: Hide a new collection.
        api: Client of the Hub; by default of the one that ``HF_ENDPOINT`` names.

    Raises:
        PublishError: When a model is not on the Hub, before anything is made; or when the Hub refuses.
    """
    wrong = [repo_id for repo_id in repos if not REPO_ID.fullmatch(repo_id)]
    if wrong or not repos:
        raise InputError(f"{wrong[0] if wrong else 'no model'} is not a repository name: give org/name")
    hub = api or connect()
    try:
        if missing := [repo_id for repo_id in repos if attempt(partial(read_state, hub, repo_id)) is None]:
            absent = f"{', '.join(missing)} is not on the Hub (or hidden from this token)"
            raise PublishError(f"{absent}: publish it first. Nothing was made")
        make = partial(hub.create_collection, title, namespace=namespace or repos[0].partition("/")[0], exists_ok=True)
        made = attempt(partial(make, description=description[:150] or None, private=private))
        for repo_id in repos:
            made = attempt(partial(hub.add_collection_item, made.slug, repo_id, "model", exists_ok=True))
    except PublishError:
        raise
    except Exception as error:  # noqa: BLE001
        kept = "What was added to the collection stays; run the same command again"
        raise PublishError(f"{explain(error, repos[0])}. {kept}") from None  # the cause's request holds the token
    return Collection(made.url, tuple(item.item_id for item in made.items))
