"""Writing that leaves the old or the new behind, never a half: whole files and whole folders; and digests of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from genzoo.errors import ZooError, system_message


@contextlib.contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """Yield a fresh folder beside the target that takes its place when the block ends without an error."""
    target = Path(target).absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise ZooError(f"cannot write to {target.parent}: {system_message(error)}") from error
    try:
        new.chmod(0o755)
        yield new
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
            target.rename(old / target.name)
            new.rename(target)
            shutil.rmtree(old)
        else:
            new.rename(target)
    except BaseException as error:
        shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, OSError) or _is_of_the_disk(error):
            raise ZooError(f"cannot write {target}: {system_message(error)}") from error
        raise


def _is_of_the_disk(error: BaseException) -> bool:
    """Whether safetensors met a full or broken disk, which it tells by an error of its own."""
    from safetensors import SafetensorError

    return isinstance(error, SafetensorError) and "I/O error" in str(error)


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole or not at all."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ZooError(f"cannot write {path}: {system_message(error)}") from error
    return path


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, pattern: str = "*") -> str:
    """40 hex characters over names and bytes of the files that match: a folder's revision where no commit exists."""
    sha = hashlib.sha256()
    for path in sorted(p for p in Path(folder).rglob(pattern) if p.is_file() and not p.name.startswith(".")):
        sha.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode())
    return sha.hexdigest()[:40]
