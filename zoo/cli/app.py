"""The app itself, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import traceback
import warnings
from types import TracebackType
from typing import Annotated

import typer

from genzoo import __version__
from genzoo.cli import evaluating, explaining, models, publishing, results, studies, training
from genzoo.cli.console import err, out
from genzoo.errors import ZooError, system_message
from genzoo.text import for_terminal, redact

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of glibc's malloc.h, less their M_


def keep_freed_memory() -> bool:
    """Keep the memory of freed tensors for the next ones, up to 2 GiB.

    glibc hands every large block back to the kernel when it is freed, and gets it again, page by page and zeroed, a moment later: a
    fifth of the time of a forward pass on a CPU. This is a setting of the whole process, so the command line makes it and
    ``import genzoo`` does not; a service that encodes on a CPU may call it once when it starts.

    Returns:
        Whether the C library took it; False where it is another one than glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))


app = typer.Typer(
    name="genzoo",
    help=(
        "Benchmark and model zoo for generative embeddings.\n\n"
        "A few trained tokens make a frozen LLM embed the answer it would give. Load such models, train them from a query log, "
        "measure any embedder, and read an embedding back to text."
    ),
    epilog='Start here: genzoo decode "where do polar bears live?"',
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
for group in (models, training, studies, evaluating, results, explaining, publishing):
    group.add_to(app)


STOPPED = 130


def _show_version(value: bool) -> None:
    if value:
        out.print(f"genzoo {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _terminate(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; a `ZooError` becomes one line on standard error and exit code 1."""
    # Progress is drawn by us; the libraries' own bars and load reports would tear it.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="The task .* is superseded")
    logging.getLogger("mteb").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, _terminate)
    keep_freed_memory()
    sys.excepthook = _show_crash
    try:
        app()
    except ZooError as error:
        err.print(f"[bold red]error:[/] {_plain(str(error))}", highlight=False, soft_wrap=True, markup=True)
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == STOPPED:  # typer's word for a keyboard interrupt
            err.print("stopped; what was finished is kept, run the same command to go on", highlight=False)
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.exit(141)
        err.print(
            f"[bold red]error:[/] {_plain(_named(error))}",
            highlight=False,
            soft_wrap=True,
            markup=True,
        )
        sys.exit(1)


def _named(error: OSError) -> str:
    """What the operating system says, with the file that it is about."""
    return f"{error.filename}: {system_message(error)}" if error.filename else system_message(error)


def _plain(text: str) -> str:
    """A message without any token in it, and with square brackets that are not read as markup."""
    from rich.markup import escape

    return escape(redact(text))


def _show_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback of an error that nobody expected: no local variables, and no token that a message may hold."""
    sys.stderr.write(for_terminal(redact("".join(traceback.format_exception(kind, error, trace)))))
