"""`when` and `arguments_schema` in the configuration file: checked when it is read, and stored as plain JSON."""

import json
from pathlib import Path

import pytest

from bot.config import BadConfig, Fault, FrozenRule, Settings, load_settings, parse_settings
from tests.conftest import SAMPLE


def settings_with(line: str) -> Settings:
    return parse_settings((SAMPLE + line).encode(), {}, source="sample")


def fault_of(line: str) -> Fault:
    with pytest.raises(BadConfig) as caught:
        settings_with(line)
    (fault,) = caught.value.faults
    return fault


@pytest.mark.parametrize(
    ("line", "key", "problem"),
    [
        ("when = 'arguments.amount <='", "rules[1].when", "is not a condition: line 1, character 20: Syntax error"),
        ("when = '5'", "rules[1].when", "of type int"),
        ("when = 5", "rules[1].when", "is a whole number (5)"),
        ("arguments_schema = 5", "rules[1].arguments_schema", "is 5"),
        ("arguments_schema = { type = 'objekt' }", "rules[1].arguments_schema", "is not a JSON Schema at /type"),
        ("arguments_schema = { const = 2026-01-01 }", "rules[1].arguments_schema", "2026-01-01"),
        ("arguments_schema = 'a.json'", "rules[1].arguments_schema", "no place to read it from"),
    ],
)
def test_faults_are_told_where_they_are(line: str, key: str, problem: str) -> None:
    fault = fault_of(line)
    assert fault.key_path == key
    assert problem in fault.problem
    assert fault.rule == "refunds"


def test_one_equals_sign_is_told_to_be_two() -> None:
    assert fault_of("when = 'arguments.amount = 5'").remedy.startswith("compare with ==")


def test_a_schema_may_be_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "refund.json").write_text('{"properties": {"amount": {"minimum": 0.1}}}')
    config = tmp_path / "signoff.toml"
    config.write_text(SAMPLE + 'arguments_schema = "schemas/refund.json"\n')
    rule = load_settings(config, {}).rules[1]
    stored = FrozenRule.parse(rule.frozen())
    assert stored.arguments_schema == {"properties": {"amount": {"minimum": 0.1}}}
    assert json.loads(rule.frozen())["arguments_schema"]["properties"]["amount"]["minimum"] == 0.1


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.json", None, "cannot be read (No such file or directory)"),
        ("folder", None, "cannot be read (Is a directory)"),
        ("nul\\u0000", None, "cannot be read"),
        ("bad.json", "{", "is not JSON"),
        ("bad.json", '{"type": "objekt"}', "is not a JSON Schema"),
        ("bad.json", "[]", "is not a JSON object"),
        ("big.json", " " * 300_000, "bytes"),
    ],
)
def test_a_file_that_is_no_schema_is_a_fault(tmp_path: Path, name: str, content: str | None, problem: str) -> None:
    (tmp_path / "folder").mkdir()
    if content is not None:
        (tmp_path / name).write_text(content)
    config = tmp_path / "signoff.toml"
    config.write_text(SAMPLE + f'arguments_schema = "{name}"\n')
    with pytest.raises(BadConfig) as caught:
        load_settings(config, {})
    (fault,) = caught.value.faults
    assert problem in fault.problem
    assert fault.key_path == "rules[1].arguments_schema"
