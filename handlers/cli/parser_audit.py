"""The words of the commands about the record: ``signoff audit`` and ``signoff evidence``. Runs nothing."""

from pathlib import Path
from typing import Any

from handlers.cli.parts import Parser, command, config_option, json_option


def add_audit(commands: Any) -> None:
    """Add ``signoff audit`` and what belongs to it."""
    audit = command(
        commands, "audit", "verify the record, sign checkpoints of it, read and export it",
        "The record is a chain of events: each has a hash over itself and all before it. These commands work while the "
        "server runs.",
        """
        signoff audit verify --slack
        signoff audit checkpoint checkpoints.txt
        signoff audit verify --checkpoint checkpoints.txt
        """,
    )  # fmt: skip
    acts = audit.add_subparsers(dest="act", metavar="COMMAND", parser_class=Parser)
    verify = command(
        acts, "verify", "check the whole record, and that its witnesses agree",
        "Check every event's hash. A witness kept elsewhere says up to where the record is the one that was written; "
        "the events after the last one are counted. Exits with 1 if anything does not agree.",
        """
        signoff audit verify
        signoff audit verify --stored --checkpoint checkpoints.txt --slack --json
        signoff audit verify --checkpoint checkpoints.txt --key checkpoints.pem
        """,
    )  # fmt: skip
    verify.add_argument(
        "--checkpoint", metavar="FILE", type=Path, action="append", default=[],
        help="a file of signed checkpoints that was kept elsewhere; may be given more than once",
    )  # fmt: skip
    verify.add_argument(
        "--key", metavar="FILE", type=Path,
        help="the public key that checkpoints were signed with (default: the one that belongs to SIGNOFF_SECRET_KEY)",
    )  # fmt: skip
    verify.add_argument(
        "--slack", action="store_true",
        help="compare with what the finished cards in Slack say; wants SLACK_BOT_TOKEN in the environment",
    )  # fmt: skip
    verify.add_argument(
        "--stored", action="store_true",
        help="compare requests, votes, overrides, votes ahead and halts, too, with what is on record of them",
    )  # fmt: skip
    config_option(verify)
    json_option(verify)

    checkpoint = command(
        acts, "checkpoint", "sign a checkpoint of the record as it is now",
        "Add a signed checkpoint to a file, one line, or print it for -. Keep it where nobody who owns this host can "
        "change it.",
        """
        signoff audit checkpoint checkpoints.txt
        signoff audit checkpoint - | ssh vault 'cat >> checkpoints.txt'
        """,
    )  # fmt: skip
    checkpoint.add_argument("file", metavar="FILE", type=Path, help="the file to add it to; - prints it")
    config_option(checkpoint)

    key = command(
        acts, "key", "print the public key that checkpoints are signed with",
        "Print the Ed25519 public key in PEM, or as a JSON Web Key. Keep it with the checkpoints: with it they can be "
        "verified without the secret key.",
        "signoff audit key > checkpoints.pem",
    )  # fmt: skip
    config_option(key)
    json_option(key, "print it as a JSON Web Key")

    show = command(
        acts, "show", "print what is on record of one request",
        "Print the events of a request, oldest first, with their facts and hashes.",
        "signoff audit show 42",
    )  # fmt: skip
    show.add_argument("id", metavar="ID", help="the request's number or id")
    config_option(show)
    json_option(show)

    export = command(
        acts, "export", "print events for another system to keep",
        "Print events, oldest first. They hold no arguments, notes or reasons, only commitments to them. That somebody "
        "exported is put on record.",
        """
        signoff audit export --since 7d --format jsonl > events.jsonl
        signoff audit export --since 2026-11-01 --format csv > events.csv
        """,
    )  # fmt: skip
    export.add_argument("--since", metavar="TIME", help="from then on, such as 24h, 7d or 2026-11-01 (default: all)")
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default: jsonl")
    config_option(export)


def add_evidence(commands: Any) -> None:
    """Add ``signoff evidence``."""
    evidence = command(
        commands, "evidence", "write down all there is about one request, for who has to account for it",
        "Write one JSON file and one page that needs neither Slack nor a network, with the card as it was shown, into "
        "a folder. They hold the arguments, but for what the rule hides. That somebody took them is put on record.",
        "signoff evidence 42 --to /srv/audit",
    )  # fmt: skip
    evidence.add_argument("id", metavar="ID", help="the request's number or id")
    evidence.add_argument(
        "--to", metavar="FOLDER", type=Path, default=Path(), help="the folder to write into (default: this one)"
    )
    config_option(evidence)
