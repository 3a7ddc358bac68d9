"""Errors that a user can act on: each message says what was given, what is allowed and what to run next."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_UNREACHED = frozenset(
    {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT}
)


class ZooError(Exception):
    """Base of every error that genzoo raises on purpose; the command line prints it as one line and exits with 1."""


class UnknownNameError(ZooError, KeyError):
    """A name that no registry holds; the message lists the nearest ones."""

    def __str__(self) -> str:
        # KeyError prints the repr of its argument; a message is meant to be read.
        return str(self.args[0]) if self.args else ""


class BackboneError(ZooError):
    """A frozen LLM could not be had (no network, wrong digest, gated, no spare token row)."""


class CheckpointError(ZooError):
    """A folder or file is not a usable checkpoint."""


class InputError(ZooError, ValueError):
    """An input of the wrong kind, shape or range."""


class FailedRunsError(ZooError):
    """Some pairs of model and task failed; the results of all others are in the folder."""


class TrainingError(ZooError):
    """Training cannot start or go on (no data, NaN loss, changed recipe)."""


class PublishError(ZooError):
    """A model could not be published, or not completely; the message says what the repository holds now and what to do."""


class VerifyError(ZooError):
    """A model is not what was recorded of it."""


def first_flaw(error: ValidationError) -> str:
    """The first thing that pydantic found wrong: the field and what was expected of it."""
    first = error.errors()[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


def system_message(error: BaseException, other: str = "choose another folder") -> str:
    """What the operating system says about a failed read or write, and what to do about it where that is known.

    Args:
        error: An `OSError`, or a library's error that quotes one.
        other: What to do where this folder takes no files; empty where no other folder would do.

    >>> system_message(OSError(errno.ENOSPC, "No space left on device"))
    'No space left on device: free some space or choose another folder'
    >>> system_message(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    'Connection refused: check the network and the address, then run the same command again'
    """
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    number = _number_of(error, said)
    advice = ""
    if number in FULL:
        advice = " or ".join(filter(None, ("free some space", other)))
    elif number in _FORBIDDEN:
        advice = " or ".join(filter(None, ("change its permissions", other)))
    elif number == errno.EROFS:
        advice = other or "make it writable"
    elif number in _UNREACHED:
        advice = "check the network and the address, then run the same command again"
    return f"{said}: {advice}" if advice else said


def _number_of(error: BaseException, said: str) -> int | None:
    """The number of an operating system's error; safetensors gives it in words only."""
    number = getattr(error, "errno", None)
    if number is not None:
        return int(number)
    if quoted := re.search(r"os error (\d+)", said):
        return int(quoted[1])
    return next((one for one in (*FULL, *_FORBIDDEN, errno.EROFS) if os.strerror(one) in said), None)
