"""Every route that the clients use, as functions of a request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import urllib.parse

from loopback_hub import collection_routes, xet_routes
from loopback_hub.storage import HubError


def answer(request):
    """(status, headers, body) of a request."""
    for pattern, route in ROUTES:
        if found := re.fullmatch(pattern, f"{request.method} {request.path}"):
            done = route(request, *(urllib.parse.unquote(part) if part else part for part in found.groups()))
            return done if isinstance(done, tuple) else (200, {}, json.dumps(done).encode())
    raise HubError(404, f"no such route: {request.method} {request.path}")


def whoami(request):
    name, organisations, role = request.user()
    token = {"displayName": "test", "role": role}
    return {"type": "user", "id": name, "name": name, "fullname": name, "orgs": [{"name": o} for o in organisations],
            "auth": {"type": "access_token", "accessToken": token}}  # fmt: skip


def create_repo(request):
    asked, user = request.json(), request.user()
    kind, owner = asked.get("type") or "model", asked.get("organization") or user[0]
    name = f"{owner}/{asked['name']}"
    if owner not in (user[0], *user[1]) or user[2] != "write":
        raise HubError(403, f"You don't have the rights to create a {kind} under the namespace {owner}")
    url = f"{request.host}/{'' if kind == 'model' else kind + 's/'}{name}"
    with request.hub.lock:
        if (kind, name) in request.hub.repos:
            raise HubError(409, "You already created this repo", url=url)
        is_private = asked.get("visibility") == "private" or bool(asked.get("private"))
        request.hub.create(kind, name, is_private=is_private)
    return {"url": url, "name": name, "id": name}


def validate_yaml(request):
    return {"errors": [], "warnings": []}


def info(request, kind, name, revision="main"):
    return request.hub.info(
        request.repo(kind, name), revision or "main", request.query.get("blobs", "").lower() == "true"
    )


def tree(request, kind, name, revision, below):
    repo, prefix = request.repo(kind, name), f"{below}/" if below else ""
    is_deep = request.query.get("recursive", "").lower() == "true"
    rows, folders = [], set()
    for path, entry in sorted(repo.files(revision).items()):
        if not path.startswith(prefix):
            continue
        parts = path[len(prefix) :].split("/")
        for depth in range(1, len(parts) if is_deep else min(len(parts), 2)):
            folder = prefix + "/".join(parts[:depth])
            if folder not in folders:
                folders.add(folder)
                oid = hashlib.sha1(folder.encode(), usedforsecurity=False).hexdigest()
                rows.append({"type": "directory", "path": folder, "oid": oid, "size": 0})
        if is_deep or len(parts) == 1:
            rows.append(entry.row(path))
    if below and not rows:
        raise HubError(404, f"{below} does not exist", "EntryNotFound")
    return rows


def paths_info(request, kind, name, revision):
    files = request.repo(kind, name).files(revision)
    is_json = "json" in request.headers.get("Content-Type", "")
    fields = urllib.parse.parse_qsl(request.body.decode()) if not is_json else []
    paths = request.json()["paths"] if is_json else [value for key, value in fields if key == "paths"]
    return [files[path].row(path) for path in paths if path in files]


def refs(request, kind, name):
    repo = request.repo(kind, name)

    def rows(table, folder):
        return [{"name": n, "ref": f"refs/{folder}/{n}", "targetCommit": commit} for n, commit in table.items()]

    return {"branches": rows(repo.branches, "heads"), "tags": rows(repo.tags, "tags"), "converts": []}


def commits(request, kind, name, revision):
    repo, rows = request.repo(kind, name), []
    sha = repo.resolve(revision)
    while sha:
        commit = repo.commits[sha]
        rows.append(
            {"id": sha, "title": commit.title, "message": "", "date": commit.date, "authors": [{"user": commit.author}]}
        )
        sha = commit.parent
    return rows


def tag(request, kind, name, revision):
    repo, wanted = request.repo(kind, name, write=True), request.json()["tag"]
    if wanted in repo.tags:
        raise HubError(409, f"Reference already exists: {wanted}")
    repo.tags[wanted] = repo.resolve(revision)
    return {}


def settings(request, kind, name):
    repo, asked = request.repo(kind, name, write=True), request.json()
    if asked.get("visibility") or asked.get("private") is not None:
        repo.is_private = asked.get("visibility") == "private" or bool(asked.get("private"))
    return {"private": repo.is_private}


def preupload(request, kind, name, revision):
    files = request.repo(kind, name, write=True).files(revision)
    rows = []
    for asked in request.json()["files"]:
        old = files.get(asked["path"])
        mode = "lfs" if request.hub.is_lfs(asked["path"], asked["size"]) else "regular"
        oid = (old.sha256 if old.is_lfs else old.oid) if old else None
        rows.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return {"files": rows}


def commit(request, kind, name, branch):
    hub, repo = request.hub, request.repo(kind, name, write=True)
    lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
    with hub.lock:
        head = repo.resolve(branch)
        files, title = dict(repo.commits[head].files), ""
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, head):
                    raise HubError(412, "A commit has happened since. Please refresh and try again.")
                continue
            path = value["path"]
            if path.startswith("/") or ".." in path.split("/"):
                raise HubError(400, f"invalid path: {path}")
            if key == "file":
                files[path] = hub.entry(base64.b64decode(value["content"]), False)
            elif key == "lfsFile":
                if value["oid"] not in hub.blobs:
                    raise HubError(400, "LFS pointer pointed to a file that does not exist")
                files[path] = hub.stored(value["oid"])
            elif key == "deletedFile":
                files.pop(path, None)
            else:
                raise HubError(400, f"unknown operation {key}")
        sha = hub.commit(repo, branch, files, title, request.user()[0])
    return {"success": True, "commitOid": sha, "commitUrl": f"{request.host}/{repo.name}/commit/{sha}"}


def resolve_file(request, prefix, name, revision, path):
    repo = request.repo("dataset" if prefix else "model", name)
    sha = repo.resolve(revision)
    entry = repo.commits[sha].files.get(path)
    if entry is None:
        raise HubError(404, f"{path} does not exist", "EntryNotFound")
    tag = f'"{entry.sha256 if entry.is_lfs else entry.oid}"'
    headers = {"X-Repo-Commit": sha, "ETag": tag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    if entry.is_lfs:
        headers |= {"X-Linked-Etag": tag, "X-Linked-Size": str(entry.size)}
        if request.has_xet and (xet_hash := request.hub.xet_hashes.get(entry.sha256)):
            route = f"{request.host}/api/{'dataset' if prefix else 'model'}s/{name}/xet-read-token/{sha}"
            headers |= {"X-Xet-Hash": xet_hash, "X-Xet-Refresh-Route": route}
    data = request.hub.blobs[entry.sha256]
    part = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if part:
        first, last = int(part[1]), min(int(part[2] or entry.size - 1), entry.size - 1)
        return 206, headers | {"Content-Range": f"bytes {first}-{last}/{entry.size}"}, data[first : last + 1]
    return 200, headers, data


def lfs_batch(request, prefix, name):
    request.repo("dataset" if prefix else "model", name, write=True)
    rows = []
    for asked in request.json()["objects"]:
        url = f"{request.host}/_lfs/{asked['oid']}"
        needed = {"actions": {"upload": {"href": url}, "verify": {"href": f"{url}/verify"}}}
        rows.append(
            {"oid": asked["oid"], "size": asked["size"]} | ({} if asked["oid"] in request.hub.blobs else needed)
        )
    return {"transfer": "basic", "objects": rows}


def lfs_put(request, oid):
    # Stands for a pre-signed address of a storage service, which never gets the token.
    if request.headers.get("Authorization"):
        raise HubError(400, "a token was sent to the storage")
    if hashlib.sha256(request.body).hexdigest() != oid:
        raise HubError(400, "the content does not match its sha256")
    request.hub.put(request.body)
    return {}


def lfs_verify(request, oid):
    if oid not in request.hub.blobs:
        raise HubError(404, "object missing")
    return {}


_REPO = r"/api/(model|dataset)s/([^/]+/[^/]+)"
ROUTES = (
    (r"GET /api/whoami-v2", whoami),
    (r"POST /api/repos/create", create_repo),
    (r"POST /api/validate-yaml", validate_yaml),
    (r"(?:GET|HEAD) " + _REPO, info),
    (r"(?:GET|HEAD) " + _REPO + r"/revision/([^/]+)", info),
    (r"GET " + _REPO + r"/tree/([^/]+)/?(.*)", tree),
    (r"POST " + _REPO + r"/paths-info/([^/]+)", paths_info),
    (r"GET " + _REPO + r"/refs", refs),
    (r"GET " + _REPO + r"/commits/([^/]+)", commits),
    (r"POST " + _REPO + r"/tag/([^/]+)", tag),
    (r"PUT " + _REPO + r"/settings", settings),
    (r"POST " + _REPO + r"/preupload/([^/]+)", preupload),
    (r"POST " + _REPO + r"/commit/([^/]+)", commit),
    (r"(?:GET|HEAD) /(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", resolve_file),
    (r"POST /(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", lfs_batch),
    (r"PUT /_lfs/([0-9a-f]{64})", lfs_put),
    (r"POST /_lfs/([0-9a-f]{64})/verify", lfs_verify),
    *xet_routes.ROUTES,
    *collection_routes.ROUTES,
)
