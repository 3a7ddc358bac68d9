"""A collection on the Hub: one for each release, so that its models are found together."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from genzoo.errors import InputError, PublishError
from genzoo.publishing.hub import Sleep, attempt, explain
from genzoo.publishing.plan import REPO_ID
from genzoo.publishing.publisher import read_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huggingface_hub import HfApi


def group_models(
    title: str,
    repo_ids: Sequence[str],
    api: HfApi,
    *,
    namespace: str | None = None,
    description: str = "",
    is_private: bool = False,
    sleep: Sleep = time.sleep,
) -> tuple[str, list[str]]:
    """Put published models into a collection; both are left as they are where they exist already.

    Args:
        title: Of the collection; with the namespace it decides which one is meant.
        repo_ids: ``org/name`` of each model.
        api: Client of the Hub.
        namespace: User or organisation; that of the first model by default.
        description: Shown under the title, at most 150 characters.
        is_private: Whether a new collection is hidden.
        sleep: Waits between tries.

    Returns:
        Address of the collection, and the models in it in order.

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
    return made.url, [item.item_id for item in made.items]
