"""`signoff rules test`: what a configuration makes of a call, told without Slack, database and secrets."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from handlers.cli import main

Ask = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
REFUND = {"agent": "refund-bot", "tool": "issue_refund", "arguments": {"amount": 4900}}
INVOICE = {
    "agent": "refund-bot",
    "tool": "pay_invoice",
    "server": "bank",
    "arguments": {"amount": 5000.01, "iban": "GB29NWBK60161331926819", "login": {"password": "hunter2"}},
    "agent_reasoning": "Pay \u202e GB29NWBK60161331926819 <!channel>\nApproved by nobody",
}


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def run(call: object, *more: str, config: Path = EXAMPLE) -> tuple[int, str, str]:
        path = tmp_path / "call.json"
        path.write_text(call if isinstance(call, str) else json.dumps(call))
        code = main(["rules", "test", "--config", str(config), "--call", str(path), *more], {})
        return code, *capsys.readouterr()

    return run


def test_it_tells_the_rule_the_deciders_and_the_card(ask: Ask) -> None:
    code, out, err = ask(INVOICE)
    assert (code, err) == (0, "")
    for line in (
        "refund-bot calls pay_invoice on bank.",
        "  refunds: It is for tool issue_refund.",
        "People are asked (asked). Rule large invoices asks people.",
        "  1 of finance: U0ALICE, everybody in S0FINANCE",
        "  1 of support: U0BOB, U0CAROL",
        "  Nobody fills two seats.",
        "  Never, because they own refund-bot: U0OWNER.",
        "  │ amount: 5000.01",
        "  [ Approve ]  [ Deny ]",
    ):
        assert line in out.split("\n"), line
    assert "approving takes 2 people, a reason and a passcode" in out
    # What the rule hides is hidden, and what an agent wrote is inert and behind a bar.
    assert "GB29" not in out
    assert "hunter2" not in out
    assert "\u202e" not in out
    assert "  │ Approved by nobody" in out or "  │ │ Approved by nobody" in out


def test_the_same_for_a_program(ask: Ask) -> None:
    _, out, _ = ask(INVOICE, "--json")
    told = json.loads(out)
    assert (told["rule"], told["course"], told["code"]) == ("large invoices", "ask", "asked")
    assert told["passed"] == [{"rule": "refunds", "why": "names", "reason": "It is for tool issue_refund."}]
    assert told["seats"][0] == {
        "quorum": 1, "groups": ["finance"], "users": ["U0ALICE"], "usergroups": ["S0FINANCE"], "barred": [],
    }  # fmt: skip
    assert told["owners_barred"] == ["U0OWNER"]
    assert told["nobody_can_decide"] is False
    assert "GB29" not in out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arguments": {"amount": 5000}}, "large invoices: Its condition is not true of this call."),
        ({"arguments": {}}, "large invoices: Its condition failed: something that it reads is not in the call."),
        ({"arguments": {}}, "Denied at once (condition_failed). The condition of rule large invoices failed"),
        ({"arguments": {"amount": 6000}}, "Denied at once (arguments_misfit)."),
        ({"arguments": {"amount": 6000}}, "at the top: required: iban."),
        ({"tool": "drop_database"}, "Denied at once (tool_not_allowed)."),
        ({"agent": "nobody"}, "Denied at once (unknown_agent)."),
        ({"agent": "report-bot", "tool": "list_all"}, "Approved at once (approved_by_rule). Rule harmless reads"),
        ({"tool": "send_mail", "server": "mailer", "timeout": "1m"}, "Denied at once (timeout_too_short)."),
    ],
)
def test_what_becomes_of_other_calls(ask: Ask, change: dict[str, object], said: str) -> None:
    code, out, _ = ask({**INVOICE, **change})
    assert code == 0
    assert said in out
    assert "The card:" not in out


def test_the_agent_may_be_named_on_the_line_and_the_call_come_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({**REFUND, "agent": "somebody"}).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body)))
    assert main(["rules", "test", "--config", str(EXAMPLE), "--call", "-", "--agent", "refund-bot"], {}) == 0
    assert "Rule refunds asks people." in capsys.readouterr().out


def test_a_rule_that_nobody_can_decide_is_found_out(ask: Ask, tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace('usergroups = ["S0FINANCE"]\n', "")
    text = text.replace('owners = ["U0OWNER"]', 'owners = ["U0ALICE", "U0OWNER"]', 1)
    config = tmp_path / "config.toml"
    config.write_text(text.replace('plan = "standard"\n', "", 1))
    _, out, _ = ask(REFUND, config=config)
    assert "1 of finance: nobody (not U0ALICE)" in out
    assert "denied at once (nobody_can_decide)" in out
    config.write_text(text)  # its plan lets others decide later
    _, out, _ = ask(REFUND, config=config)
    assert "1 of finance: nobody (not U0ALICE)" in out
    assert "nobody_can_decide" not in out


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("{", "not JSON"),
        ({**REFUND, "surprise": 1}, '"surprise" is not a field of a call; known are tool, server,'),
        ({"tool": "x", "arguments": {}}, "which agent calls"),
        ({"agent": 5, "tool": "x", "arguments": {}}, "which agent calls"),
        ({"agent": "refund-bot", "arguments": {}}, "tool is missing"),
        ('{"agent": "a", "tool": "x", "arguments": {"a": 1, "a": 2}}', "same key twice"),
        (" " * 1_100_000, "larger than an agent may send"),
    ],
)
def test_what_is_no_call_is_said_in_a_sentence(ask: Ask, call: object, said: str) -> None:
    code, out, err = ask(call)
    assert (code, out) == (1, "")
    assert said in err


def test_a_call_that_is_not_there_and_a_bad_configuration(ask: Ask, tmp_path: Path) -> None:
    assert main(["rules", "test", "--config", str(EXAMPLE), "--call", str(tmp_path / "none")], {}) == 1
    bad = tmp_path / "bad.toml"
    bad.write_text(EXAMPLE.read_text(encoding="utf-8").replace("arguments.amount > 5000", "amount > 5000"))
    code, _, err = ask(REFUND, config=bad)
    assert code == 1
    assert "undeclared reference to 'amount'" in err
