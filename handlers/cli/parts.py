"""What the words of the command line are made of: a parser that fails in one line, and options that many have."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

CONFIG_VARIABLE = "SIGNOFF_CONFIG"
DEFAULT_CONFIG = "config.toml"


class Parser(argparse.ArgumentParser):
    """Says a mistake in one line and where help is, instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}{_meant(message)}\nTry: {self.prog} --help\n")


def _meant(message: str) -> str:
    """Say which of the words was meant that there are, if one is near the one that was typed."""
    import difflib
    import re

    found = re.search(r"invalid choice: '(.*?)' \(choose from (.+)\)", message)
    near = difflib.get_close_matches(found[1], re.findall(r"[\w-]+", found[2]), n=1) if found else []
    return f". Did you mean {near[0]}?" if near else ""


def command(commands: Any, name: str, short: str, description: str, example: str) -> argparse.ArgumentParser:
    lines = [f"  {line.strip()}".rstrip() for line in example.strip().splitlines()]
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=short,
        description=_wrapped(description),
        epilog="\n".join(["example:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 88)


def config_option(parser: Any, default_is_used: str = "") -> None:
    default = f"default: ${CONFIG_VARIABLE}, else ./{DEFAULT_CONFIG}"
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"the configuration; {default_is_used}" if default_is_used else f"the configuration ({default})",
    )


def json_option(parser: Any, text: str = "print JSON") -> None:
    parser.add_argument("--json", action="store_true", help=text)
