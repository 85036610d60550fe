"""Every key of the configuration and every variable is in the example file and in docs/configuration.md, explained."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.config import STORE_URL_VARIABLE, TABLES, BadConfig, load_settings, parse_settings
from bot.config_plans import StepTable
from bot.durations import render_duration
from bot.secret_reader import VARIABLES

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
DOCS = ROOT / "docs" / "configuration.md"

MODELS = {**TABLES, "plans.steps": StepTable}
KEYS = [(table, key) for table, model in MODELS.items() for key in model.keys()]  # noqa: SIM118 (not a dict)
HEADINGS = {
    **{table: f"[{table}.NAME]" for table in ("agents", "reviewers", "oncall", "pagers", "plans")},
    "plans.steps": "[[plans.NAME.steps]]",
    "rules": "[[rules]]",
}


def commented_keys() -> Iterator[tuple[str, str]]:
    """Table and key of each setting in the example that has a comment right above it, or in a run of keys below one."""
    table, commented = "", False
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"\[+(\w+)(?:\.[\w-]+\.(\w+))?", line):
            if header[2] and commented:
                yield header[1], header[2]  # a list of tables is a key of the table around it
            table, commented = ".".join(filter(None, header.groups())), False
        elif line.startswith("#"):
            commented = len(line) > 2
        elif not line:
            commented = False
        elif (setting := re.match(r"(\w+) = ", line)) and commented:
            yield table, setting[1]


def documented_keys() -> Iterator[tuple[str, str]]:
    """Heading and key of each row with a meaning in the tables of docs/configuration.md."""
    heading = ""
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ").strip("`")
        elif row := re.match(r"\| `(\w+)` \| [^|]+ \| [^|]{4,} \|$", line):
            yield heading, row[1]


def default_in_docs(heading: str, key: str) -> str:
    section = DOCS.read_text(encoding="utf-8").split(f"## `{heading}`\n")[1].split("\n## ")[0]
    row = re.search(rf"^\| `{key}` \| ([^|]+) \|", section, re.MULTILINE)
    assert row, f"no row for {key} under {heading}"
    return row[1]


def test_the_example_loads_and_shows_every_kind_of_rule() -> None:
    settings = load_settings(EXAMPLE, {})
    assert settings.rules[0].name == "refunds"
    assert {rule.stage for rule in settings.rules} == {"approve", "autonomous"}


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_the_example_has_every_key_with_a_comment(table: str, key: str) -> None:
    assert (table, key) in set(commented_keys())


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_the_docs_have_every_key(table: str, key: str) -> None:
    assert (HEADINGS.get(table, f"[{table}]"), key) in set(documented_keys())


def test_the_docs_have_no_key_that_does_not_exist() -> None:
    known = {(HEADINGS.get(table, f"[{table}]"), key) for table, key in KEYS}
    documented = {(heading, key) for heading, key in documented_keys() if heading.startswith("[")}
    assert documented == known


def in_toml(value: object) -> str:
    return json.dumps(render_duration(value) if isinstance(value, timedelta) else value)


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_the_docs_state_the_default_that_is_true(table: str, key: str) -> None:
    field = MODELS[table].model_fields[key]
    stated = default_in_docs(HEADINGS.get(table, f"[{table}]"), key)
    if field.is_required():
        assert stated == "required"
    elif field.default is None or field.default == ():
        # What holds then is said in words, such as "a DM to each reviewer".
        assert "`" not in stated.replace('`"approve"`', "")
    else:
        assert stated == f"`{in_toml(field.default)}`"


@pytest.mark.parametrize("variable", [*VARIABLES, STORE_URL_VARIABLE])
def test_the_docs_have_every_variable(variable: str) -> None:
    assert f"`{variable}`" in DOCS.read_text(encoding="utf-8")


def test_the_docs_show_faults_as_they_are() -> None:
    shown = re.search(r"```text\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    text = EXAMPLE.read_text(encoding="utf-8")
    broken = text.replace('"send_*"]', "3]", 1).replace('max_timeout = "1h"', 'max_timeout = "2 hours"', 1)
    with pytest.raises(BadConfig) as caught:
        parse_settings(broken.encode(), {}, source="signoff.toml")
    assert str(caught.value) == shown[1].rstrip("\n")
