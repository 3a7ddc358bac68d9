"""The command line: one app, one module per group of commands; everything heavy is imported by the command that needs it."""

from genzoo.cli.app import main

__all__ = ["main"]
