"""What the Hub holds: contents by sha256, repositories as branches, tags and commits, collections."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

LFS_SUFFIXES = (".safetensors", ".bin", ".parquet", ".arrow", ".gz", ".zip", ".onnx", ".pt", ".npz", ".gguf")
LFS_FROM = 10 << 20


class HubError(Exception):
    """Becomes a status with the X-Error headers that the clients read."""

    def __init__(self, status, message, code=None, **extra):
        super().__init__(message)
        self.status, self.message, self.code, self.extra = status, message, code, extra


def git_oid(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A file in a commit."""

    sha256: str
    size: int
    is_lfs: bool
    oid: str
    pointer_size: int = 0

    def row(self, path):
        """As the tree route gives it."""
        row = {"type": "file", "path": path, "size": self.size, "oid": self.oid}
        if self.is_lfs:
            row["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": self.pointer_size}
        return row

    def sibling(self, path, blobs):
        """As the info route gives it."""
        row = {"rfilename": path}
        if blobs:
            row |= {"size": self.size, "blobId": self.oid}
            if self.is_lfs:
                row["lfs"] = {"sha256": self.sha256, "size": self.size, "pointerSize": self.pointer_size}
        return row


@dataclass
class Commit:
    parent: str | None
    files: dict[str, Entry]
    title: str
    author: str
    date: str


@dataclass
class Repo:
    kind: str
    name: str
    is_private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)

    def resolve(self, revision):
        """Commit of a branch, tag, full or shortened commit."""
        for table in (self.branches, self.tags):
            if revision in table:
                return table[revision]
        found = [commit for commit in self.commits if len(revision) >= 7 and commit.startswith(revision)]
        if len(found) != 1:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found[0]

    def files(self, revision="main"):
        return self.commits[self.resolve(revision)].files


class Hub:
    """All state, in memory.

    Attributes:
        users: Token -> (name, organisations, role). Tests make their own tokens.
        xet_files: Xet's hash of a file -> its parts, each (xorb, first chunk, chunk behind the last, bytes).
        xet_hashes: sha256 of a file -> xet's hash of it.
        requests: "METHOD /path" of everything that was asked, in order.
        store: Part of the store's address, another for each Hub: hf_xet keeps what it sent by address, and ports come back.
    """

    def __init__(self, users=None):
        self.users = users or {}
        self.blobs: dict[str, bytes] = {}
        self.xorbs: dict[str, bytes] = {}
        self.xet_files: dict[str, list] = {}
        self.xet_hashes: dict[str, str] = {}
        self.repos: dict[tuple[str, str], Repo] = {}
        self.collections: dict[str, dict] = {}
        self.requests: list[str] = []
        self.faults: list = []
        self.store = secrets.token_hex(8)
        self.lock = threading.RLock()
        self._count = itertools.count()

    def put(self, data):
        sha = hashlib.sha256(data).hexdigest()
        self.blobs[sha] = bytes(data)
        return sha

    def entry(self, data, is_lfs):
        sha = self.put(data)
        return self.stored(sha) if is_lfs else Entry(sha, len(data), False, git_oid(data))

    def stored(self, sha):
        """The entry of an LFS object that was uploaded before."""
        size = len(self.blobs[sha])
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha}\nsize {size}\n".encode()
        return Entry(sha, size, True, git_oid(pointer), len(pointer))

    @staticmethod
    def is_lfs(path, size):
        return path.endswith(LFS_SUFFIXES) or size > LFS_FROM

    def create(self, kind, name, *, is_private=False):
        with self.lock:
            repo = self.repos[kind, name] = Repo(kind, name, is_private)
            attributes = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
            self.commit(repo, "main", {".gitattributes": self.entry(attributes, False)}, "initial commit")
            return repo

    def commit(self, repo, branch, files, title, author="hub", commit=None):
        body = f"{repo.name}{title}{next(self._count)}".encode()
        sha = commit or hashlib.sha1(body, usedforsecurity=False).hexdigest()
        date = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        repo.commits[sha] = Commit(repo.branches.get(branch), dict(files), title, author, date)
        repo.branches[branch] = sha
        return sha

    def import_folder(self, kind, name, folder, commit=None):
        """Serve a folder at any 40-hex commit: no client recomputes a commit's hash."""
        repo = self.repos.get((kind, name)) or self.create(kind, name)
        files = {
            path.relative_to(folder).as_posix(): self.entry(
                path.read_bytes(), self.is_lfs(path.name, path.stat().st_size)
            )
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and ".cache" not in path.parts
        }
        return self.commit(repo, "main", files, "import", commit=commit)

    def contents(self, kind, name, revision="main"):
        """Path -> bytes of a revision."""
        return {path: self.blobs[entry.sha256] for path, entry in self.repos[kind, name].files(revision).items()}

    def info(self, repo, revision="main", blobs=False):
        sha = repo.resolve(revision)
        commit = repo.commits[sha]
        card = self._card(commit.files)
        tags = [str(tag) for tag in card.get("tags") or []]
        tags += [f"{key}:{card[key]}" for key in ("license", "base_model") if isinstance(card.get(key), str)]
        facts = {
            "id": repo.name, "modelId": repo.name, "author": repo.name.split("/")[0], "sha": sha, "private": repo.is_private,
            "gated": False, "disabled": False, "createdAt": commit.date, "lastModified": commit.date, "downloads": 0,
            "likes": 0, "tags": tags, "siblings": [entry.sibling(path, blobs) for path, entry in sorted(commit.files.items())],
        }  # fmt: skip
        facts |= {key: card[key] for key in ("library_name", "pipeline_tag", "model-index") if key in card}
        if card:
            facts["cardData"] = card
        found = [path for path in sorted(commit.files) if re.fullmatch(r"\.eval_results/[^/]+\.ya?ml", path)]
        if found:
            facts["evalResults"] = [
                {"filename": path, "data": row}
                for path in found
                for row in yaml.safe_load(self.blobs[commit.files[path].sha256]) or []
            ]
        return facts

    def _card(self, files):
        if "README.md" not in files:
            return {}
        text = self.blobs[files["README.md"].sha256].decode("utf-8", "replace")
        block = re.match(r"\s*---\r?\n(.*?)\r?\n---", text, re.S)
        return json.loads(json.dumps(yaml.safe_load(block[1]), default=str)) if block else {}
