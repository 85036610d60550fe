"""The ready rules in examples/: each file loads, says what it is for, and does with calls what its comments promise."""

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.config import Settings, load_settings
from handlers.trial import Trial, parse_call, try_call

FOLDER = Path(__file__).parents[2] / "examples"
DOMAINS = ("customer", "financial", "infrastructure", "legal", "medical", "security")
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

DOSE = {"amount": 0.1, "unit": "mg"}
ORDER = {
    "patient": "P-1234567", "patient_name": "Jane Roe", "drug": "digoxin", "dose": DOSE, "route": "oral",
    "every_hours": 24, "days": 3,
}  # fmt: skip
REFUND = {"amount": 1999, "currency": "GBP", "order": "A-1001"}
INVOICE = {"amount": 120000, "currency": "EUR", "iban": "GB29NWBK60161331926819"}
DEPLOY = {"environment": "staging", "service": "web", "version": "v1.2.3"}
FILING = {"office": "High Court", "matter": "M-2041", "document": "claim.pdf"}
DELETION = {"request": "DSR-7", "legal_hold": False, "records": ["a", "b"], "subject": "Jane Roe"}
MAIL = {"to": ["mia@example.com"], "text": "Hello"}
REMINDER = {"template": "appointment-reminder-v2", "patient": "P-1234567", "appointment": "A-1234567"}


def without(arguments: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if key not in keys}


def settings_of(domain: str) -> Settings:
    return load_settings(FOLDER / f"{domain}.toml", {})


def tried(domain: str, tool: str, arguments: str | dict[str, Any], server: str | None = None) -> Trial:
    settings = settings_of(domain)
    (agent,) = settings.agents
    sent = arguments if isinstance(arguments, str) else json.dumps(arguments)
    named = f'"server": {json.dumps(server)}, ' if server is not None else ""
    body = f'{{"tool": "{tool}", {named}"timeout": "24h", "arguments": {sent}}}'
    return try_call(settings, *parse_call(body.encode(), agent), NOW)


@pytest.mark.parametrize(
    ("domain", "tool", "arguments", "expected"),
    [
        # Money: steps of sums, and what is no sum.
        ("financial", "read_order", {}, "approved_by_rule: reading orders"),
        ("financial", "issue_refund", REFUND, "approved_by_rule: small refunds"),
        ("financial", "issue_refund", {**REFUND, "amount": 2000.0}, "approved_by_rule: small refunds"),
        ("financial", "issue_refund", {**REFUND, "amount": 2001}, "asked: refunds"),
        ("financial", "issue_refund", {**REFUND, "amount": 50001}, "asked: other refunds"),
        ("financial", "issue_refund", {**REFUND, "amount": -1}, "asked: other refunds"),
        ("financial", "issue_refund", {**REFUND, "amount": "1999"}, "asked: other refunds"),
        ("financial", "issue_refund", {**REFUND, "currency": "USD"}, "asked: other refunds"),
        ("financial", "issue_refund", without(REFUND, "amount"), "asked: other refunds"),
        (
            "financial",
            "issue_refund",
            '{"amount": 2000.0000000000000000001, "currency": "GBP"}',
            "asked: other refunds",
        ),
        ("financial", "issue_refund", {**REFUND, "amount": 2**70}, "asked: other refunds"),
        ("financial", "issue_refund", {**REFUND, "also_to": "U0OWNER"}, "arguments_misfit: small refunds"),
        ("financial", "issue_refund", {**REFUND, "amount": 19.99}, "arguments_misfit: small refunds"),
        ("financial", "pay_invoice", INVOICE, "asked: invoices"),
        ("financial", "pay_invoice", {**INVOICE, "iban": "GB29 NWBK\n"}, "arguments_misfit: invoices"),
        ("financial", "pay_invoice", {**INVOICE, "amount": 10**9}, "arguments_misfit: invoices"),
        ("financial", "change_bank_details", {}, "asked: bank details"),
        ("financial", "drain_account", {}, "tool_not_allowed: None"),
        # Security: taking away is one person's, giving two teams'.
        ("security", "list_accounts", {}, "approved_by_rule: looking"),
        ("security", "suspend_account", {"user": "x"}, "asked: suspending accounts"),
        ("security", "grant_role", {"role": "viewer", "days": 7}, "asked: reading roles"),
        ("security", "grant_role", {"role": "viewer"}, "asked: roles"),
        ("security", "grant_role", {"role": "admin", "days": 1}, "asked: roles"),
        ("security", "grant_role", {"role": "Viewer", "days": 1}, "asked: roles"),
        ("security", "rotate_key", {"key": "s3cret-value"}, "asked: rotating keys"),
        ("security", "open_port", {"from": "10.1.0.0/16", "port": 443}, "asked: inner ports"),
        ("security", "open_port", {"from": "0.0.0.0/0", "port": 443}, "asked: ports"),
        ("security", "open_port", {"from": "10.0.0.0/8", "port": 443}, "asked: ports"),
        ("security", "open_port", {"from": "10.1.0.0/16\n0.0.0.0/0", "port": 443}, "asked: ports"),
        ("security", "open_port", {"from": "10.1.0.0/16", "port": 22}, "asked: ports"),
        # Law.
        ("legal", "read_contract", {}, "approved_by_rule: reading contracts"),
        ("legal", "draft_contract", {}, "asked: drafts"),
        (
            "legal",
            "send_for_signature",
            {"template": "nda-mutual-v4", "months": 12, "value": 0},
            "asked: standard contracts",
        ),
        ("legal", "send_for_signature", {"template": "nda-mutual-v4", "months": 24, "value": 0}, "asked: contracts"),
        ("legal", "send_for_signature", {"template": "mine"}, "asked: contracts"),
        ("legal", "send_for_signature", {}, "asked: contracts"),
        ("legal", "file_document", FILING, "asked: filings"),
        ("legal", "file_document", without(FILING, "matter"), "arguments_misfit: filings"),
        ("legal", "delete_records", DELETION, "asked: deletions"),
        ("legal", "delete_records", {**DELETION, "legal_hold": True}, "arguments_misfit: deletions"),
        ("legal", "delete_records", without(DELETION, "legal_hold"), "arguments_misfit: deletions"),
        # Infrastructure: the environment decides.
        ("infrastructure", "deploy", DEPLOY, "approved_by_rule: test deployments"),
        ("infrastructure", "deploy", {**DEPLOY, "environment": "production"}, "asked: deployments"),
        ("infrastructure", "deploy", {**DEPLOY, "environment": "Staging"}, "asked: deployments"),
        ("infrastructure", "deploy", without(DEPLOY, "environment"), "asked: deployments"),
        ("infrastructure", "deploy", {**DEPLOY, "service": "web; rm -rf /"}, "arguments_misfit: test deployments"),
        ("infrastructure", "rollback", {}, "asked: rollbacks"),
        ("infrastructure", "run_sql", {"sql": "select 1"}, "asked: statements"),
        ("infrastructure", "scale", {"service": "web", "machines": 10}, "approved_by_rule: scaling"),
        ("infrastructure", "scale", {"service": "web", "machines": 0}, "asked: other scaling"),
        ("infrastructure", "scale", {"service": "web", "machines": 1e30}, "asked: other scaling"),
        ("infrastructure", "shell", {"command": "ls"}, "asked: commands"),
        # Customers: who reads it.
        ("customer", "tag_ticket", {}, "approved_by_rule: reading and sorting"),
        ("customer", "send_reply", MAIL, "approved_by_rule: replies to colleagues"),
        ("customer", "send_reply", {**MAIL, "to": ["jane@customer.test"]}, "asked: replies"),
        (
            "customer",
            "send_reply",
            {**MAIL, "to": ["mia@example.com", "jane@customer.test"]},
            "asked: replies to several",
        ),
        ("customer", "send_reply", {**MAIL, "to": []}, "asked: replies to several"),
        ("customer", "send_reply", {**MAIL, "to": ["mia@example.com\nx@evil.test"]}, "asked: replies"),
        ("customer", "send_reply", {**MAIL, "to": "mia@example.com"}, "asked: replies to several"),
        ("customer", "send_reply", {**MAIL, "bcc": ["x@evil.test"]}, "arguments_misfit: replies to colleagues"),
        ("customer", "send_campaign", {"audience": "all", "recipients": 900, "text": "Hi"}, "asked: campaigns"),
        (
            "customer",
            "send_campaign",
            {"audience": "all", "recipients": 10**6, "text": "Hi"},
            "arguments_misfit: campaigns",
        ),
        ("customer", "post_public", {}, "asked: public posts"),
        ("customer", "close_account", {}, "asked: closing accounts"),
        # Medicine: doses are numbers with units.
        ("medical", "read_schedule", {}, "approved_by_rule: schedules"),
        ("medical", "order_medication", ORDER, "asked: medication"),
        ("medical", "order_medication", {**ORDER, "dose": "0.1 mg"}, "arguments_misfit: medication"),
        ("medical", "order_medication", {**ORDER, "dose": {"amount": 0.1}}, "arguments_misfit: medication"),
        ("medical", "order_medication", {**ORDER, "dose": {**DOSE, "amount": 0}}, "arguments_misfit: medication"),
        ("medical", "order_medication", {**ORDER, "dose": {**DOSE, "amount": 0.001}}, "arguments_misfit: medication"),
        ("medical", "order_medication", {**ORDER, "days": 30}, "arguments_misfit: medication"),
        ("medical", "order_test", {"test": "electrolytes"}, "asked: tests"),
        ("medical", "order_test", {"test": "CT"}, "asked: other tests"),
        ("medical", "order_test", {}, "asked: other tests"),
        ("medical", "release_record", {"record": "r", "to": "x", "legal_basis": "consent"}, "asked: releasing records"),
        (
            "medical",
            "release_record",
            {"record": "r", "to": "x", "legal_basis": "curiosity"},
            "arguments_misfit: releasing records",
        ),
        ("medical", "message_patient", REMINDER, "approved_by_rule: reminders"),
        ("medical", "message_patient", {**REMINDER, "text": "Stop your tablets"}, "arguments_misfit: reminders"),
        ("medical", "message_patient", {"text": "Stop your tablets"}, "asked: messages to patients"),
    ],
)
def test_calls_meet_the_rules_they_should(
    domain: str, tool: str, arguments: str | dict[str, Any], expected: str
) -> None:
    ruling = tried(domain, tool, arguments).ruling
    assert f"{ruling.code}: {ruling.rule.name if ruling.rule else None}" == expected


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT id, total FROM orders WHERE total > 5", "queries"),
        ("select 1; drop table orders", "statements"),
        ("select pg_read_file(x)", "statements"),
        ("select 1 -- x", "statements"),
        ("delete from orders", "statements"),
    ],
)
def test_only_plain_queries_on_the_copy_run_unseen(sql: str, rule: str) -> None:
    ruling = tried("infrastructure", "run_sql", {"sql": sql}, "replica").ruling
    assert ruling.rule is not None
    assert ruling.rule.name == rule
    elsewhere = tried("infrastructure", "run_sql", {"sql": sql}, "main").ruling
    assert elsewhere.rule is not None
    assert elsewhere.rule.name == "statements"


@pytest.mark.parametrize(
    ("domain", "tool", "arguments", "hidden"),
    [
        ("security", "rotate_key", {"key": "s3cret-value"}, "s3cret"),
        ("legal", "delete_records", DELETION, "Jane Roe"),
        ("medical", "order_medication", ORDER, "Jane Roe"),
    ],
)
def test_what_nobody_needs_to_see_is_on_no_card(domain: str, tool: str, arguments: dict[str, Any], hidden: str) -> None:
    card = tried(domain, tool, arguments).card
    assert card is not None
    assert "[redacted · hmac:" in card
    assert hidden not in card


def test_there_is_a_file_for_each_domain_and_the_readme_names_it() -> None:
    assert tuple(sorted(path.stem for path in FOLDER.glob("*.toml"))) == DOMAINS
    for name in ("examples/README.md", "README.md", "docs/configuration.md"):
        text = (FOLDER.parent / name).read_text(encoding="utf-8")
        for domain in DOMAINS:
            assert f"{domain}.toml" in text, f"{name} does not name {domain}.toml"


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_file_keeps_to_its_field_and_to_the_habits(domain: str) -> None:
    text = (FOLDER / f"{domain}.toml").read_text(encoding="utf-8")
    for rule in tomllib.loads(text)["rules"]:
        above = text.split(f'name = "{rule["name"]}"')[0].rsplit("[[rules]]", 1)[0]
        reading = rule["stage"] == "autonomous" and "when" not in rule
        assert above.rstrip().split("\n")[-1].startswith("#") or reading or rule["name"] in PLAIN, rule["name"]
    settings = settings_of(domain)
    assert {rule.domain for rule in settings.rules} == {domain}
    for at, rule in enumerate(settings.rules):
        if rule.when is not None:
            below = settings.rules[at + 1 :]
            assert any(other.tool == rule.tool and other.when is None and other.stage == "approve" for other in below)
        if rule.stage == "autonomous" and rule.when is not None:
            assert rule.arguments_schema is not None or rule.server is not None, f"{rule.name} leaves room for more"
    for named in settings.agents.values():
        for rule in settings.rules:
            people = {user for group in rule.groups for user in group.users} - set(named.owners)
            assert len(people) >= rule.people_needed, f"{rule.name} has not enough people"


PLAIN = ("closing accounts", "public posts", "deployments", "other scaling")
"""Rules whose name says it all."""


def test_the_example_in_the_readme_of_the_folder_is_true() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    body = text.split("echo '")[1].split("'")[0]
    ruling = try_call(settings_of("financial"), *parse_call(body.encode(), None), NOW).ruling
    assert ruling.rule is not None
    assert ruling.rule.name == "refunds"
