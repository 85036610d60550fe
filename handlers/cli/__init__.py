"""The command ``signoff``: what an operator types. ``main`` is the entry.

A command prints: what it was asked for on stdout, all else on stderr. Nothing heavy is imported before the command
that needs it is known, so that ``signoff --help`` answers at once.
"""

from handlers.cli.entry import main

__all__ = ["main"]
