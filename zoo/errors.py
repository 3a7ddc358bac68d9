"""Errors that a user can act on: each message says what was given, what is allowed and what to run next."""


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
    """A folder or file is no usable checkpoint."""


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
