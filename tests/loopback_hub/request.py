"""One request, and who asks: the routes are functions of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from loopback_hub.storage import Hub, HubError


@dataclass
class Request:
    hub: Hub
    method: str
    path: str
    query: dict[str, str]
    body: bytes
    headers: Any
    host: str
    has_xet: bool

    def json(self):
        return json.loads(self.body or b"{}")

    def user(self, needed=True):
        """(name, organisations, role); a token that nobody has is refused whatever is asked for."""
        given = self.headers.get("Authorization", "")
        if not given and not needed:
            return None
        found = self.hub.users.get(given.removeprefix("Bearer "))
        if found is None:
            raise HubError(
                401, "Invalid credentials in Authorization header" if given else "Invalid username or password."
            )
        return found

    def repo(self, kind, name, write=False):
        user = self.user(needed=False)
        mine = user is not None and name.split("/")[0] in (user[0], *user[1])
        repo = self.hub.repos.get((kind, name))
        if repo is None or (repo.is_private and not mine):
            raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and not (mine and user[2] == "write"):
            raise HubError(403 if user else 401, "Forbidden: you must use a write token to upload to a repository.")
        return repo
