"""Every metric, with its alert, and every command is in docs/operations.md, and none there is made up."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

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

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
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


class Row(NamedTuple):
    """A metric in the table: its labels, and the cell that says which alert it has."""

    labels: tuple[str, ...]
    alert: str


def documented() -> dict[str, Row]:
    named: dict[str, Row] = {}
    for row in re.findall(r"^\| (`.*)\|$", TABLE, re.MULTILINE):
        names, _, labels, meaning, alert = (cell.strip() for cell in row.split("|"))
        assert meaning
        for name in re.findall(r"`(\w+)`", names):
            named[name] = Row(tuple(re.findall(r"`(\w+)`", labels)), alert)
    return named


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts that are written down for Prometheus, by name."""
    (group,) = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    named = {rule["alert"]: rule for rule in group["rules"]}
    assert len(named) == len(group["rules"])
    return named


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:signoff|process)_\w+", re.sub(r"\{[^}]*\}", "", expression)))


def test_every_metric_is_documented_with_its_labels() -> None:
    assert {name: row.labels for name, row in documented().items()} == exposed()


def test_every_metric_has_an_alert_or_says_why_it_needs_none() -> None:
    written = alerts()
    for name, row in documented().items():
        if re.match(r"none: \w", row.alert):
            assert not any(name in metrics_in(alert["expr"]) for alert in written.values()), name
            continue
        given = re.findall(r"`(\w+)`", row.alert)
        assert given, f"{name} has neither an alert nor a reason for none"
        assert set(given) <= set(written), name
        assert all(name in metrics_in(written[alert]["expr"]) for alert in given), name


def test_every_alert_is_in_the_table_and_asks_for_what_there_is() -> None:
    table, kinds = documented(), exposed()
    for name, alert in alerts().items():
        asked = metrics_in(alert["expr"])
        assert asked
        assert asked <= set(kinds), name
        assert any(name in table[metric].alert for metric in asked), f"{name} is not in the table"
        for metric, matchers in re.findall(r"(\w+)\{([^}]*)\}", alert["expr"]):
            used = re.findall(r"(\w+)[!=]~?\"", matchers)
            assert used
            assert set(used) <= {*kinds[metric], "job"}, name
        assert alert["expr"].count("(") == alert["expr"].count(")")
        assert set(alert) <= {"alert", "expr", "for", "labels", "annotations"}
        assert alert["labels"]["severity"] in {"page", "look"}
        assert alert["annotations"]["summary"].endswith(".")
        assert set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])) <= {
            label for metric in asked for label in kinds[metric]
        }


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
