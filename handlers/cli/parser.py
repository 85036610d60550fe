"""The words of the command line: commands, options, and what ``--help`` says of them. Runs nothing."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from handlers.cli.parser_audit import add_audit, add_evidence
from handlers.cli.parser_records import add_records
from handlers.cli.parts import Parser as _Parser
from handlers.cli.parts import command as _command
from handlers.cli.parts import config_option as _config
from handlers.cli.parts import json_option as _json

COMMANDS = (
    "serve", "demo", "check", "manifest", "enroll", "reload", "backup", "restored", "access", "rules", "instance",
    "provisioner", "audit", "evidence", "requests", "overrides", "stats",
    "show",
)  # fmt: skip
RULES_COMMANDS = ("test",)
INSTANCE_COMMANDS = ("create", "list", "rotate", "revoke")
PROVISIONER_COMMANDS = ("create", "list", "revoke")
AUDIT_COMMANDS = ("verify", "checkpoint", "key", "show", "export")

_EPILOG = """\
try it:          signoff demo
set it up:       signoff manifest, then signoff check
run it:          signoff serve --config config.toml
change rules:    signoff reload --config config.toml
let an agent in: signoff instance create billing-prod --agent refund-bot
passcodes:       signoff enroll U0ALICE
look back:       signoff overrides --since monday
backups:         signoff backup FILE, and signoff restored once one was put back
the record:      signoff audit verify --slack

Every command has a --help of its own. Exit codes: 0 done, 1 refused or failed, 2 not understood."""


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        from importlib.metadata import version  # costs more than all the rest of --help

        print(f"signoff {version('signoff')}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="signoff",
        description="People approve in Slack what AI agents are about to do.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    serve = _command(
        commands, "serve", "run Signoff until it is told to stop",
        "Run Signoff: agents' webhook, Slack and clock. Stops on SIGTERM or Ctrl-C, takes a changed "
        "configuration on SIGHUP. Logs are JSON lines on stderr. "
        "Secrets come from SLACK_BOT_TOKEN, SLACK_APP_TOKEN (socket mode), SLACK_SIGNING_SECRET (http mode), "
        "SIGNOFF_SECRET_KEY and SIGNOFF_METRICS_TOKEN, or from a file named by the same variable with _FILE. "
        "SIGNOFF_STORE_URL overrides the store; SIGNOFF_LOG_LEVEL is debug, info, warning or error.",
        """
        export SLACK_BOT_TOKEN_FILE=/run/secrets/bot SLACK_APP_TOKEN_FILE=/run/secrets/app
        signoff serve --config config.toml
        """,
    )  # fmt: skip
    _config(serve)

    demo = _command(
        commands, "demo", "try Signoff in the browser, without a Slack account",
        "Run Signoff with a local stand-in for Slack, a sample configuration and a temporary database.",
        "signoff demo --port 8800",
    )  # fmt: skip
    demo.add_argument("--port", type=_port, default=0, help="the page's port on 127.0.0.1 (default: a free one)")

    check = _command(
        commands, "check", "see whether this configuration will work",
        "Check configuration, secrets, database, Slack's tokens and scopes, channels, and that every rule has living "
        "reviewers. Changes nothing. Exits with 1 if there is a fault.",
        "signoff check --config config.toml",
    )  # fmt: skip
    _config(check)
    _json(check)

    manifest = _command(
        commands, "manifest", "print the Slack app's manifest, ready to paste",
        "Print the manifest (JSON) of the Slack app that Signoff needs. Paste it at api.slack.com/apps: Create New "
        "App, From a manifest. Socket mode unless --mode, --config or --public-url says otherwise.",
        """
        signoff manifest > manifest.json
        signoff manifest --mode http --public-url https://signoff.example.com
        signoff manifest --config config.toml
        """,
    )  # fmt: skip
    manifest.add_argument("--mode", choices=("socket", "http"), help="how Slack reaches Signoff")
    source = manifest.add_mutually_exclusive_group()
    _config(source, default_is_used="the mode and the address are taken from it")
    source.add_argument("--public-url", metavar="URL", help="the https address that Slack is to call, for http mode")
    _json(manifest, "print the manifest alone, without advice on stderr")

    enroll = _command(
        commands, "enroll", "print a code with which a person sets up passcodes",
        "Print a one-time code with which a person sets up a device for passcodes, first or again. It is alone on "
        "stdout, this once, and good for 15 minutes. Hand it over yourself, not through Slack. What the person has now "
        "goes on working until the new device is confirmed.",
        "signoff enroll U0ALICE",
    )  # fmt: skip
    enroll.add_argument("user", metavar="USER", help="the person's Slack id, U… or W…")
    _config(enroll)
    reload = _command(
        commands, "reload", "have the running server take the changed configuration",
        "Check the configuration here, tell its faults without touching the server, else have the server that serves "
        "its database read it (SIGHUP) and say what it took. A file is taken whole or not at all; [server], [slack] "
        "and [store] take a restart. Pending requests keep the rule they were made under; what the new file forbids "
        "outright is cancelled or revoked. Exits with 1 if the file was not taken.",
        "signoff reload --config config.toml",
    )  # fmt: skip
    _config(reload)

    backup = _command(
        commands, "backup", "copy the SQLite database while the server runs",
        "Copy the SQLite database to a new file: one moment of it, checked, readable by you alone, whether the server "
        "runs or not. The secret key is not in it. The copy is marked: put back, it is not served before `signoff "
        "restored`. For PostgreSQL use pg_dump.",
        'signoff backup "/var/backups/signoff/$(date +%F-%H%M).db"',
    )  # fmt: skip
    backup.add_argument("file", metavar="FILE", type=Path, help="the new file; one that is there is never replaced")
    _config(backup)

    restored = _command(
        commands, "restored", "make a database ready that was restored from a backup",
        "Run this once on a database that was restored from a backup, before it is served. Approvals that were open in "
        "the backup may have been used since it was made: they are named and revoked. Votes cast ahead and enrolment "
        "codes are ended. Pending requests are left as they are, and counted. Refuses while a server runs.",
        "signoff restored --config config.toml",
    )  # fmt: skip
    _config(restored)

    _add_access(commands)
    _add_rules(commands)
    _add_instance(commands)
    _add_provisioner(commands)
    add_audit(commands)
    add_evidence(commands)
    add_records(commands)
    return parser


def _add_rules(commands: Any) -> None:
    rules = _command(
        commands, "rules", "try the rules on a call",
        "See what the rules of a configuration make of a call before an agent makes it.",
        "signoff rules test --config config.toml --call call.json",
    )  # fmt: skip
    acts = rules.add_subparsers(dest="act", metavar="COMMAND", parser_class=_Parser)
    test = _command(
        acts, "test", "which rule a call meets, who could decide, and the card",
        "Print which rule a call meets, why the rules above it do not match, who could decide, and the card as text. "
        "Needs no Slack, no database and no secrets; limits, votes cast ahead and remembered denials are not looked "
        "at. CALL.json has the body that an agent would send, and beside it \"agent\".",
        """
        signoff rules test --config config.toml --call call.json
        echo '{"agent": "refund-bot", "tool": "issue_refund", "arguments": {}}' | signoff rules test --call -
        """,
    )  # fmt: skip
    test.add_argument("--call", required=True, metavar="CALL.json", type=Path, help="the call; - reads standard input")
    test.add_argument("--agent", metavar="NAME", help="the agent that calls, in place of the one in the file")
    _config(test)
    _json(test)


def _add_access(commands: Any) -> None:
    access = _command(
        commands, "access", "who can approve what today, and by which rule",
        "Print for each agent and rule who may approve and who may not, and why. With SLACK_BOT_TOKEN in the "
        "environment, Slack is asked about people and user groups; without it only the configuration is read.",
        """
        signoff access --config config.toml
        signoff access --user U0ALICE --agent refund-bot
        """,
    )  # fmt: skip
    access.add_argument("--user", metavar="U…", help="this Slack user alone")
    access.add_argument("--agent", metavar="NAME", help="this agent alone")
    _config(access)
    _json(access)


def _add_instance(commands: Any) -> None:
    instance = _command(
        commands, "instance", "make, list, rotate and revoke agents' credentials",
        "An instance is one installation of an agent. Its token opens the agents' webhook. These commands work while "
        "the server runs, and take effect within a second.",
        """
        signoff instance create billing-prod --agent refund-bot > token
        signoff instance rotate billing-prod > token    # the old token goes on working
        signoff instance rotate billing-prod --retire   # now only the newest does
        signoff instance revoke billing-prod
        """,
    )  # fmt: skip
    acts = instance.add_subparsers(dest="act", metavar="COMMAND", parser_class=_Parser)
    create = _command(
        acts, "create", "make an instance and print its token",
        "Make an instance of a configured agent. Its token is printed alone on stdout, this once: it is not stored. "
        "An instance made for a person acts for them, and they never decide on its requests.",
        """
        signoff instance create billing-prod --agent refund-bot > token
        signoff instance create alices-helper --agent refund-bot --person U012AB3CD > token
        """,
    )  # fmt: skip
    create.add_argument("name", metavar="NAME", help="1 to 75 printable characters; not one of a live instance")
    create.add_argument("--agent", required=True, help="the name of an agent in the configuration")
    create.add_argument("--person", metavar="USER", help="the Slack user id (U…) of whom it is made for")
    _config(create)

    listing = _command(
        acts, "list", "list the instances and their credentials, never tokens",
        "List every instance: its agent, whether it lives, and when its credentials were made and revoked.",
        "signoff instance list --json",
    )  # fmt: skip
    _config(listing)
    _json(listing)

    rotate = _command(
        acts, "rotate", "print a new token beside those that work",
        "Add a credential and print its token alone on stdout, this once. Older tokens go on working until --retire, "
        "which makes no new one but revokes all except the newest.",
        """
        signoff instance rotate billing-prod > token    # give it to the agent, then:
        signoff instance rotate billing-prod --retire
        """,
    )  # fmt: skip
    rotate.add_argument("name", metavar="NAME")
    rotate.add_argument("--retire", action="store_true", help="make no new token: revoke all but the newest")
    _config(rotate)

    revoke = _command(
        acts, "revoke", "end an instance: its tokens and its pending requests",
        "Revoke an instance for good, with all its tokens. Its pending requests are cancelled.",
        "signoff instance revoke billing-prod",
    )  # fmt: skip
    revoke.add_argument("name", metavar="NAME")
    _config(revoke)


def _add_provisioner(commands: Any) -> None:
    provisioner = _command(
        commands, "provisioner", "make, list and revoke tokens that make instances",
        "A provisioner's token lets a platform make instances of one agent over the agents' webhook, with their "
        "receivers, and manage those it made. It makes no requests. These commands work while the server runs.",
        """
        signoff provisioner create fleet --agent refund-bot > token
        signoff provisioner revoke fleet
        """,
    )  # fmt: skip
    acts = provisioner.add_subparsers(dest="act", metavar="COMMAND", parser_class=_Parser)
    create = _command(
        acts, "create", "make a provisioner and print its token",
        "Make a provisioner of a configured agent. Its token is printed alone on stdout, this once: it is not stored.",
        "signoff provisioner create fleet --agent refund-bot > token",
    )  # fmt: skip
    create.add_argument("name", metavar="NAME", help="1 to 75 printable characters; not one of a live provisioner")
    create.add_argument("--agent", required=True, help="the name of an agent in the configuration")
    _config(create)

    listing = _command(
        acts, "list", "list the provisioners, never tokens",
        "List every provisioner: its agent, whether it lives, and when it was made and revoked.",
        "signoff provisioner list --json",
    )  # fmt: skip
    _config(listing)
    _json(listing)

    revoke = _command(
        acts, "revoke", "end a provisioner's token",
        "Revoke a provisioner for good. The instances that it made live on, each until it is revoked itself.",
        "signoff provisioner revoke fleet",
    )  # fmt: skip
    revoke.add_argument("name", metavar="NAME")
    _config(revoke)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; use a number from 0 to 65535")
    return int(text)


def help_of(parser: argparse.ArgumentParser, path: Sequence[str]) -> str:
    """Return the help of the command that ``path`` leads to."""
    for word in path:
        actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        parser = actions[0].choices[word]
    return parser.format_help()
