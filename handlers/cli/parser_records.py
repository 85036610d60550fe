"""The words of ``signoff requests | overrides | stats | show``, and what ``--help`` says of them. Runs nothing."""

import argparse
from typing import Any

from handlers.cli.parts import command, config_option, json_option

# Not read from the store's vocabulary, which takes longer to import than --help may take; a test holds them together.
STATUSES = ("pending", "approved", "denied", "expired", "cancelled")
KINDS = ("changed", "revoked", "reversed", "reported", "forced")

_TIMES = (
    "Times are as people write them (7d, monday, november, 2026-11-01..2026-11-07), in the zone that TZ names, else in "
    "UTC. What a rule hides is hidden here too. That somebody asked is put on record."
)


def add_records(commands: Any) -> None:
    """Add the four commands."""
    requests = command(
        commands, "requests", "list requests and what became of them",
        f"List the requests that were made in a span of time, the newest first. {_TIMES}",
        """
        signoff requests --since monday --agent refund-bot
        signoff requests --since 2026-11-01..2026-11-30 --csv > november.csv
        """,
    )  # fmt: skip
    overrides = command(
        commands, "overrides", "list what people overrode, and the override rate",
        f"List people's overrides in a span of time, the newest first; the rate is told on stderr. {_TIMES}",
        """
        signoff overrides --since 30d --kind revoked
        signoff overrides --since november --json
        """,
    )  # fmt: skip
    stats = command(
        commands, "stats", "counts, rates and times, by agent and by person",
        f"Count what was decided in a span of time. CSV has the agents, with an empty name for all. {_TIMES}",
        "signoff stats --since 30d --agent refund-bot",
    )  # fmt: skip
    show = command(
        commands, "show", "one request: the call, the votes, what became of it",
        "Show one request as its card shows it; JSON has votes, overrides and cards too. What a rule hides is hidden.",
        "signoff show 42",
    )  # fmt: skip
    show.add_argument("id", metavar="ID", help="its number or its id")
    for listing, most in ((requests, "7d"), (overrides, "7d"), (stats, "30d")):
        listing.add_argument("when", metavar="TIME", nargs="?", help="the same as --since")
        listing.add_argument("--since", metavar="TIME", help=f"since when, or FROM..TO (default: {most})")
        listing.set_defaults(longest=most)
        listing.add_argument("--agent", metavar="NAME", help="of this agent alone")
    for listing in (requests, overrides):
        listing.add_argument("--tool", metavar="NAME", help="of this tool alone")
        listing.add_argument("--rule", metavar="NAME", help="under this rule alone")
        listing.add_argument("--by", metavar="U…", help="by this person alone")
        listing.add_argument("--limit", metavar="N", type=_count, help="at most so many (default: all)")
    requests.add_argument("--status", choices=STATUSES, help="with this status alone")
    overrides.add_argument("--kind", choices=KINDS, help="of this kind alone")
    for one in (requests, overrides, stats, show):
        config_option(one)
        form = one.add_mutually_exclusive_group()
        json_option(form)
        form.add_argument("--csv", action="store_true", help="print CSV whose cells no spreadsheet takes for formulas")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
