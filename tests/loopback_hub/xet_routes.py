"""The content-addressed store's own routes: tokens, xorbs and shards going up, reconstructions and byte ranges coming down."""

from __future__ import annotations

import json
import re
import time

from loopback_hub import xet
from loopback_hub.storage import HubError


def xet_token(request, kind, name, what):
    request.repo(kind, name, write=what == "write")
    if not request.has_xet:
        raise HubError(404, "xet is off on this Hub")
    place, until = f"{request.host}/xet/{request.hub.store}", int(time.time()) + 3600
    headers = {"X-Xet-Cas-Url": place, "X-Xet-Token-Expiration": str(until), "X-Xet-Access-Token": "xet-test"}
    return 200, headers, json.dumps({"casUrl": place, "exp": until, "accessToken": "xet-test"}).encode()


def take_xorb(request, name):
    is_new = name not in request.hub.xorbs
    request.hub.xorbs[name] = request.body
    return {"was_inserted": is_new}


def take_shard(request):
    with request.hub.lock:
        xet.take_shard(request.hub, request.body)
    return {"result": 1}


def reconstruction(request, name):
    """Which chunks of which xorbs make a file, or the part of it that the Range header asks for."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range") or "")
    first, last = (int(asked[1]), int(asked[2] or 1 << 62)) if asked else (0, 1 << 62)
    return xet.reconstruct(request.hub, name, first, last, f"{request.host}/_xorbs")


def xorb_bytes(request, name):
    """Stands for a pre-signed address of a storage service: byte ranges, no token."""
    if request.headers.get("Authorization"):
        raise HubError(400, "a token was sent to the storage")
    data = request.hub.xorbs[name]
    part = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
    first, last = int(part[1]), int(part[2])
    headers = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "Content-Type": "application/octet-stream"}
    return 206, headers, data[first : last + 1]


ROUTES = (
    (r"GET /api/(model|dataset)s/([^/]+/[^/]+)/xet-(write|read)-token/[^/]+", xet_token),
    (r"(?:POST|PUT) /xet/[0-9a-f]+/v1/xorbs/default/([0-9a-f]{64})", take_xorb),
    (r"(?:POST|PUT) /xet/[0-9a-f]+/v1/shards?", take_shard),
    (r"GET /xet/[0-9a-f]+/v1/reconstructions/([0-9a-f]{64})", reconstruction),
    (r"GET /_xorbs/([0-9a-f]{64})", xorb_bytes),
)
