"""Every metric and every command is in docs/operations.md, and no metric there is made up."""

import re
from pathlib import Path

import pytest

from handlers.cli.parser import (
    AUDIT_COMMANDS,
    COMMANDS,
    INSTANCE_COMMANDS,
    PROVISIONER_COMMANDS,
    RULES_COMMANDS,
    build_parser,
    help_of,
)
from handlers.metrics import Metrics

DOCS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
TABLE = DOCS.split("## Metrics", 1)[1]


def exposed() -> dict[str, tuple[str, ...]]:
    """Each metric's name as Prometheus sees it, with its labels."""
    metrics = Metrics("1.2.3")
    suffix = {"counter": "_total", "info": "_info"}
    named = {}
    for family in metrics.registry.collect():
        collector = metrics.registry._names_to_collectors.get(family.name)
        labels = tuple(getattr(collector, "_labelnames", ()))
        named[family.name + suffix.get(family.type, "")] = ("version",) if family.type == "info" else labels
    return named


def documented() -> dict[str, tuple[str, ...]]:
    named: dict[str, tuple[str, ...]] = {}
    for row in re.findall(r"^\| (`.*)\|$", TABLE, re.MULTILINE):
        names, _, labels, meaning = (cell.strip() for cell in row.split("|"))
        assert meaning
        for name in re.findall(r"`(\w+)`", names):
            named[name] = tuple(re.findall(r"`(\w+)`", labels))
    return named


def test_every_metric_is_documented_with_its_labels() -> None:
    assert documented() == exposed()


PARTS = {
    "audit": AUDIT_COMMANDS,
    "instance": INSTANCE_COMMANDS,
    "provisioner": PROVISIONER_COMMANDS,
    "rules": RULES_COMMANDS,
}
WHOLE = [" ".join(filter(None, (command, part))) for command in COMMANDS for part in PARTS.get(command, ("",))]


@pytest.mark.parametrize("command", WHOLE)
def test_every_command_is_documented_and_explains_itself(command: str) -> None:
    assert f"`signoff {command}" in DOCS
    text = help_of(build_parser(), command.split())
    assert f"usage: signoff {command}" in text
    assert f"example:\n  {'export' if command == 'serve' else f'signoff {command}'}" in text
