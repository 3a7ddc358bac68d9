"""Collections of models."""

from __future__ import annotations

import re

from loopback_hub.storage import HubError


def create_collection(request):
    asked, user = request.json(), request.user()
    if asked["namespace"] not in (user[0], *user[1]):
        raise HubError(403, "no rights in this namespace")
    slug = f"{asked['namespace']}/{re.sub('[^a-z0-9]+', '-', asked['title'].lower())}-{'0' * 24}"
    if slug in request.hub.collections:
        raise HubError(409, "the collection exists", slug=slug)
    request.hub.collections[slug] = {
        "slug": slug, "title": asked["title"], "owner": {"name": asked["namespace"]}, "items": [], "position": 0,
        "lastUpdated": "2026-01-01T00:00:00.000Z", "private": asked["private"], "theme": "blue", "upvotes": 0,
        "description": asked.get("description"),
    }  # fmt: skip
    return request.hub.collections[slug]


def collection(request, slug):
    if slug not in request.hub.collections:
        raise HubError(404, "no such collection")
    return request.hub.collections[slug]


def add_item(request, slug):
    found, asked = collection(request, slug), request.json()
    item = asked["item"]
    if item["id"] in [known["id"] for known in found["items"]]:
        raise HubError(409, "the item is in the collection")
    row = {
        "_id": str(len(found["items"])),
        "position": len(found["items"]),
        **item,
        "note": {"text": asked.get("note")},
    }
    found["items"].append(row)
    return found


ROUTES = (
    (r"POST /api/collections", create_collection),
    (r"GET /api/collections/([^/]+/[^/]+)", collection),
    (r"POST /api/collections/([^/]+/[^/]+)/items", add_item),
)
