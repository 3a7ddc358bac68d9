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
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from genzoo import __version__
from genzoo.cli import checking, doctor, explaining, judging, measuring, models, publishing, training
from genzoo.cli.console import out
from genzoo.display import err, progress
from genzoo.errors import InputError, ZooError, system_message
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


class _SwitchesAnywhere(TyperGroup):
    """Takes ``--quiet`` and ``--verbose`` before and after the command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with these switches in front."""
        end = args.index("--") if "--" in args else len(args)
        switches = [word for word in args[:end] if word in ("--quiet", "--verbose")]
        others = [word for word in args[:end] if word not in switches]
        return super().parse_args(ctx, [*switches, *others, *args[end:]])


class _OnceEach(TyperCommand):
    """Refuses an option of one value that is given twice: only the last value would count."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, once no option is found to be repeated; the same flag may be."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in dict.fromkeys(given):
            is_switch = isinstance(option, TyperOption) and option.is_flag and not option.secondary_opts
            if isinstance(option, TyperOption) and not option.multiple and not is_switch and given.count(option) > 1:
                ctx.fail(f"{option.opts[0]} takes one value and was given {given.count(option)} times")
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="genzoo",
    cls=_SwitchesAnywhere,
    help=(
        "Benchmark and model zoo for generative embeddings.\n\n"
        "A few trained tokens make a frozen LLM embed the answer it would give. Load such models, train them from a query log, "
        "measure any embedder, and read an embedding back to text."
    ),
    epilog='Try this first: genzoo decode "where do polar bears live?"',
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for group in (models, explaining, doctor, training, checking, judging, measuring, publishing):
    for command in group.COMMANDS:
        name = command.__name__.strip("_").replace("_", "-")
        app.command(name, cls=_OnceEach, rich_help_panel=group.PANEL)(command)


STOPPED = 130


def _show_version(value: bool) -> None:
    if value:
        out.print(f"genzoo {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print results and errors only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print every message, those of other libraries included.")
    ] = False,
) -> None:
    if quiet and verbose:
        raise InputError("--quiet and --verbose ask for the opposite: give one of them")
    context.with_resource(progress(level=logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO))
    if verbose:
        warnings.simplefilter("default")
        return
    # Other libraries are silent in the processes that a command starts, as they are in this one (`genzoo.jobs.job`).
    os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _terminate(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; a `ZooError` becomes one line on standard error and exit code 1, or its own ``exit_code``."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    signal.signal(signal.SIGTERM, _terminate)
    keep_freed_memory()
    sys.excepthook = _show_crash
    try:
        app()
    except BrokenPipeError:
        sys.exit(141)
    except (ZooError, OSError) as error:
        text = _named(error) if isinstance(error, OSError) else str(error)
        err.print(f"[bold red]error:[/] {_plain(text)}", soft_wrap=True, markup=True)
        sys.exit(getattr(error, "exit_code", 1))
    except SystemExit as stop:
        if stop.code == STOPPED:  # typer's word for a keyboard interrupt
            err.print("stopped; what was finished is kept, run the same command to go on")
        raise


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
