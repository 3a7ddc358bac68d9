"""Files and folders: written whole or not at all, read strictly, told apart by digests of what they hold."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from genzoo.errors import CheckpointError, InputError, TrainingError, ZooError, system_message

JSON_LIMIT = 64 << 20
"""Bytes; the longest JSON of a model is its tokenizer (some 30 MB for the largest vocabularies)."""

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
_LOCK = ".genzoo-scratch.lock"
_TRIES = 20
_RACES = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT)
_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_REFUSED = (errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EXDEV, errno.EBUSY)
_IN_THE_WAY = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)


def cache_root() -> Path:
    """``$GENZOO_CACHE``, or ``genzoo`` in the user's cache folder."""
    if root := os.environ.get("GENZOO_CACHE"):
        return Path(root).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")).expanduser() / "genzoo"


@contextlib.contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """Yield a fresh folder that takes the target's place when the block ends without an error.

    The old or the new folder is there, whole, whatever fails. On Linux the two swap in one step. Elsewhere a process that is
    killed between two renames leaves the old folder aside, and the next call for the same target puts it back.

    Raises:
        InputError: The target is a file.
        ZooError: The disk took no more; the target is as it was.
    """
    target = Path(os.path.realpath(target))
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file, but a folder is to be written there: choose another name")
    with _told(target), scratch_folder(target.parent, target.name, lambda place: _put_back(place, target)) as place:
        new = place / "new"
        new.mkdir()
        yield new
        for path in (*new.rglob("*"), new):
            _sync(path)
        _take_place(new, target, place)


def keep_others(old: Path, new: Path, *, but: Collection[str] = ()) -> None:
    """Take over every file of an old folder that the new one lacks, but for some, given by their paths in it."""
    for path in old.rglob("*") if old.is_dir() else ():
        place = path.relative_to(old)
        target, is_kept = new / place, (path.is_file() or path.is_symlink()) and place.as_posix() not in but
        if is_kept and not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _keep(path, target)


def write_files(folder: Path, contents: Mapping[str, str | bytes]) -> list[Path]:
    """Write several files below a folder, by their paths in it: all of them, or none, and then the old ones stay.

    Other files of the folder are left alone. A process that is killed while the files take their places may leave some old
    ones beside new ones, each of them whole.
    """
    folder = Path(folder)
    targets = [folder / name for name in contents]
    if stray := [path for path in targets if not _is_below(path, folder)]:
        raise InputError(f"{stray[0]} is not below {folder}: nothing was written")
    missing = [path for target in targets for path in target.parents if not path.exists()]
    try:
        with _told(folder), scratch_folder(folder, "files") as place:
            for number, content in enumerate(contents.values()):
                new = place / f"new-{number}"
                new.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
                _sync(new)
            for number, target in enumerate(targets):
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.is_file():
                    _keep(target, place / f"old-{number}")
            _replace_all(targets, place)
    except BaseException:
        for path in sorted(set(missing), key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):  # it holds something else by now
                path.rmdir()
        raise
    return targets


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole or not at all."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    with replace_file(path) as new:
        new.write_bytes(content)
    return Path(path)


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; the file takes the place of `path`, once it is on the disk, when the block ends without an error.

    Raises:
        ZooError: The disk took no more; an old file is as it was.
    """
    path = Path(path)
    with _told(path), scratch_folder(path.parent, path.name) as place:
        new = place / path.name
        yield new
        _sync(new)  # else a machine that stops may leave an empty file under the name
        new.replace(path)


def read_json(
    path: Path,
    advice: str,
    *,
    error: type[ZooError] = CheckpointError,
    kind: type = dict,
    is_optional: bool = False,
    has_unique_names: bool = False,
) -> Any:
    """The content of a JSON file of bounded size, an object unless another kind is asked for.

    Args:
        path: The file.
        advice: Ends every message: what to do, or what the file then is not ("this is not a bundle").
        error: Raised when the file is missing, longer than `JSON_LIMIT`, no JSON, or of another kind.
        kind: `dict` or `list`.
        is_optional: A missing file is empty.
        has_unique_names: Refuse an object with two values under one name; by default the last one counts.
    """
    try:
        size = path.stat().st_size
        if size > JSON_LIMIT:
            raise error(f"{path} is {size / 1e6:.0f} MB long, at most {JSON_LIMIT >> 20} MiB are read: {advice}")
        text = path.read_bytes().decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=_unique if has_unique_names else None)
    except FileNotFoundError as problem:
        if is_optional:
            return kind()
        raise error(f"{path} is missing: {advice}") from problem
    except OSError as problem:
        raise error(f"{path} cannot be read ({problem.strerror or problem}): {advice}") from problem
    except (ValueError, RecursionError) as problem:
        raise error(f"{path} is not JSON ({problem}): {advice}") from problem
    if not isinstance(content, kind):
        expected = "an object" if kind is dict else "a list"
        raise error(f"{path} holds a JSON {type(content).__name__}, expected {expected}: {advice}")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"it names {', '.join(map(repr, twice))} twice")
    return dict(pairs)


def write_json(path: Path, content: Any, *, indent: int | None = 1, **options: Any) -> Path:
    """Write a value as `strict_json` gives it, whole or not at all."""
    return write_text(path, strict_json(content, indent=indent, **options) + "\n")


def made_once(below: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A JSON object kept in the user's cache, made where it is not there or cannot be read.

    Args:
        below: Path below the cache; it names the versions that the object depends on.
        make: Makes the object.
    """
    path = cache_root() / below
    with contextlib.suppress(ZooError):
        return dict(read_json(path, "it is made anew"))
    made = make()
    with contextlib.suppress(ZooError):  # the record saves time, no more
        write_json(path, made, indent=None)
    return made


def strict_json(value: Any, *, indent: int | None = None, is_ascii: bool = False, is_sorted: bool = False) -> str:
    """A value as JSON that every reader takes: a number that is not finite is null.

    >>> strict_json({"a": float("nan"), "b": [1.5, float("inf")]})
    '{"a": null, "b": [1.5, null]}'
    """
    return json.dumps(_finite(value), indent=indent, ensure_ascii=is_ascii, sort_keys=is_sorted, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


@contextlib.contextmanager
def _told(target: Path) -> Iterator[None]:
    """What the disk refuses becomes an error about the target; whatever else fails in the block stays what it is."""
    try:
        yield
    except BaseException as error:
        if not (_is_of_the_disk(error) or _is_refused(error, target)):
            raise
        raise ZooError(f"cannot write {target}: {system_message(error)}") from error


def _is_of_the_disk(error: BaseException) -> bool:
    """Whether safetensors met a full or broken disk, which it tells by an error of its own."""
    from safetensors import SafetensorError

    return isinstance(error, SafetensorError) and "I/O error" in str(error)


def _is_refused(error: BaseException, target: Path) -> bool:
    """Whether a file system refused to write near the target, rather than a network or a file that was read."""
    if isinstance(error, shutil.Error):
        return True
    if not isinstance(error, OSError) or error.errno not in (*_LOST, *_REFUSED, *_IN_THE_WAY):
        return False
    names = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    parent = target.absolute().parent
    return not names or any(_is_below(name, parent) or _is_below(parent, name) for name in names)


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder, or is it, however it is written."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100 - links are not followed


@contextlib.contextmanager
def scratch_folder(parent: Path, name: str, settle: Callable[[Path], None] = lambda _: None) -> Iterator[Path]:
    """A locked folder for what is not finished, on the file system of its target; settled and removed at the end.

    The lock tells a run that is at work, in whatever container, from one that was killed: what killed runs left is settled and
    removed first.
    """
    # A name may be as long as the file system allows, so its start and its digest stand for it.
    start = name.encode(errors="surrogateescape")
    prefix = f".{start[:40].decode(errors='ignore')}.{hashlib.sha256(start).hexdigest()[:8]}."
    parent.mkdir(parents=True, exist_ok=True)
    for left in sorted(each for each in parent.iterdir() if each.name.startswith(prefix)):
        with contextlib.suppress(Timeout, OSError, NotImplementedError):  # somebody is at work in it, or it is theirs
            _settle_killed(left, settle)
    place, lock = _locked(parent, prefix)
    try:
        yield place
    finally:
        settle(place)
        lock.release()
        shutil.rmtree(place, ignore_errors=True)


def _locked(parent: Path, prefix: str) -> tuple[Path, FileLock]:
    while True:
        place = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = FileLock(place / _LOCK)
        with contextlib.suppress(NotImplementedError, FileNotFoundError):  # a file system without locks, or see below
            lock.acquire()
        if (place / _LOCK).exists():  # else another run took it for a killed one's before it was locked
            return place, lock
        lock.release()


def _settle_killed(place: Path, settle: Callable[[Path], None]) -> None:
    if (place / _LOCK).is_file():
        with FileLock(place / _LOCK, timeout=0):
            settle(place)
            shutil.rmtree(place, ignore_errors=True)


def _put_back(place: Path, target: Path) -> None:
    """Give the target its old folder back where a run set it aside and got no further."""
    for aside in sorted(place.glob("old-*"), reverse=True):
        if not target.exists():
            aside.rename(target)


def _take_place(new: Path, target: Path, place: Path) -> None:
    """Let the new folder take the target's place; of several that do so at the same time the last one stays."""
    for number in range(_TRIES):
        try:
            if target.exists():
                if _exchange(new, target):
                    break
                target.rename(place / f"old-{number:02}")
            new.rename(target)
            break
        except OSError as error:
            if error.errno not in _RACES or number == _TRIES - 1:  # else another run came between two of the steps
                raise
    _sync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    return call is not None and call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _keep(path: Path, aside: Path) -> None:
    """The same file under another name; a link keeps what it says."""
    try:
        os.link(path, aside, follow_symlinks=False)
    except (OSError, NotImplementedError):  # no hard links
        shutil.copy2(path, aside, follow_symlinks=False)


def _replace_all(targets: list[Path], place: Path) -> None:
    """Let the new files take their places, and the old ones take them back if one cannot."""
    done: list[int] = []
    try:
        for number, target in enumerate(targets):
            done.append(number)
            (place / f"new-{number}").replace(target)
    except BaseException:
        for number in done:
            old, new = place / f"old-{number}", place / f"new-{number}"
            if old.exists():
                old.replace(targets[number])
            elif not new.exists():
                targets[number].unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk, where the system lets one wait for it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in _LOST:
            raise
    finally:
        os.close(handle)


def file_sizes(folder: Path) -> tuple[int, int]:
    """How many files are below a folder, and their bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(
    folder: Path, is_wanted: Callable[[Path], bool] = lambda path: True, digest: Callable[[Path], str] = sha256_of
) -> list[str]:
    """``path NUL sha256`` of the files below a folder, in the order of their paths.

    Args:
        folder: Where to look.
        is_wanted: Whether a file counts, by its path in the folder.
        digest: Gives the sha256 of a file.
    """
    paths = sorted(path for path in _below(folder) if path.is_file() and is_wanted(path.relative_to(folder)))
    return [f"{path.relative_to(folder).as_posix()}\0{digest(path)}" for path in paths]


def _below(folder: Path) -> Iterator[Path]:
    """The files below a folder, also those in folders that it only links to, but for links to a folder that they lie in."""
    for place, folders, names in os.walk(folder, followlinks=True):
        real = Path(os.path.realpath(place))
        folders[:] = [name for name in folders if not real.is_relative_to(os.path.realpath(real / name))]
        yield from (Path(place, name) for name in names)


def is_hidden(path: Path) -> bool:
    """Whether a path, or a folder on its way, begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def folder_digest(folder: Path, pattern: str = "*") -> str:
    """40 hex characters over names and bytes of the files that match: a folder's revision where no commit exists."""
    lines = file_digests(folder, lambda path: path.match(pattern) and not path.name.startswith("."))
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()[:40]


def folder_content(folder: Path) -> str:
    """16 hex characters over a model folder's files; its README and hidden files say nothing of its embeddings."""
    return parts_digest(file_digests(folder, lambda path: path.suffix != ".md" and not is_hidden(path)))


def parts_digest(parts: Iterable[str]) -> str:
    """16 hex characters over several texts in order, each with its length: ``ab, c`` and ``a, bc`` differ."""
    sha = hashlib.sha256()
    for part in parts:
        encoded = part.encode(errors="surrogatepass")
        sha.update(f"{len(encoded)}:".encode() + encoded)
    return sha.hexdigest()[:16]


@contextlib.contextmanager
def appending(path: Path) -> Iterator[IO[bytes]]:
    """A file of lines, opened for appending by this process alone; a last line that was cut off is dropped first.

    Raises:
        TrainingError: While another process is writing it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(FileLock(path.with_name(f".{path.name}.lock"), timeout=0))
        except Timeout as error:
            raise TrainingError(
                f"another process is writing {path}: wait for it, or divide the log with --shard 1/2 and --shard 2/2"
            ) from error
        if path.is_file():
            data = path.read_bytes()
            if data and not data.endswith(b"\n"):
                with path.open("r+b") as file:
                    file.truncate(data.rfind(b"\n") + 1)
        yield held.enter_context(path.open("ab", buffering=0))


def append(file: IO[bytes], data: bytes) -> None:
    """Bring all bytes to the disk; where that fails, at most a cut line stays behind, which the next run drops."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError as error:
        raise TrainingError(
            f"cannot write {file.name}; the lines before are kept: {system_message(error, '')}; then run the same command to go on"
        ) from error
