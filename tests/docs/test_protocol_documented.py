"""docs/protocol.md is true: its numbers are the code's, and so are its error codes."""

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

import handlers.app  # noqa: F401  every refusal there is, is loaded
from bot import addresses, call, deadlines, limits, memory, notifications, provisioning, receivers
from bot.errors import Refusal
from handlers import outbound, protocol, turns, webhooks, wire

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
OF_BASES = {"conflict", "limited", "invalid_request"}
"""Codes of base classes, which are never raised themselves."""

LIMITS: dict[str, int | timedelta] = {
    "body of a call of the API": call.MAX_BODY_BYTES,
    "the call (tool, server, arguments) in canonical form": call.MAX_CALL_BYTES,
    "depth of JSON": call.MAX_DEPTH,
    "exponent of a number": call.MAX_EXPONENT,
    "`tool`, `server`, `timeout`": call.MAX_NAME,
    "`Idempotency-Key`": 255,  # the protocol's own
    "`instance_name`": provisioning.MAX_NAME,
    "`wait`": wire.MAX_WAIT,
    "`url` of a receiver": addresses.MAX_URL,
    "signing secret": receivers._SECRET_BYTES,
    "one attempt at a receiver, its challenge too": outbound.ATTEMPT,
    "a receiver's answer that is read": outbound.MAX_ANSWER_BYTES,
    "addresses of a receiver's name that are tried": outbound.MAX_ADDRESSES,
    "calls at once to one host and port": outbound.AT_ONCE_TO_A_HOST,
    "calls at once to one address": outbound.AT_ONCE_TO_AN_ADDRESS,
    "longest wait of who found these taken": timedelta(seconds=turns.LATEST_SECONDS),
    "host names looked up at once": outbound.LOOK_UPS_AT_ONCE,
    "receivers challenged at once for one provisioner": provisioning.CHALLENGES_AT_ONCE,
    "notifications sent at once": webhooks.WORKERS,
    "first wait after a failed attempt": webhooks.FIRST_BACKOFF,
    "longest wait after a failed attempt": webhooks.LONGEST_BACKOFF,
    "longest `Retry-After` that is obeyed": outbound.LONGEST_RETRY_AFTER,
    "a notification is tried for": notifications.KEEP_TRYING,
    "a notification whose sender died is taken up again after": notifications.LEASE,
    "keys of changes, settled notifications are kept for": deadlines.FORGET_AFTER,
    "a settled notification is kept for at least": deadlines.KEEP_NOTIFICATIONS,
    "a denial by people is remembered for": memory.REMEMBERED_FOR,
    "longest `Retry-After` of `too_many_pending`": limits.ASK_AGAIN,
}
UNITS = {
    "second": timedelta(seconds=1), "minute": timedelta(minutes=1), "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "KiB": 1024, "MiB": 1024 * 1024, "characters": 1, "bytes": 1, "": 1,
}  # fmt: skip


def section(heading: str) -> list[list[str]]:
    """The cells of each row of a section's table."""
    text = DOCS.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def meant(value: str) -> int | timedelta:
    number, _, unit = value.removeprefix("±").partition(" ")
    one = UNITS[unit if unit in UNITS else unit.removesuffix("s")]
    return int(number) * one


def test_every_limit_is_the_codes() -> None:
    documented = {name: meant(value) for name, value in section("Limits")}
    assert documented == LIMITS


def test_the_schedule_in_the_text_is_the_codes() -> None:
    assert (timedelta(seconds=5), timedelta(hours=1)) == (webhooks.FIRST_BACKOFF, webhooks.LONGEST_BACKOFF)
    assert "waits 5 seconds, then twice as long each time up to an hour" in DOCS
    assert (timedelta(days=7), timedelta(hours=24)) == (notifications.KEEP_TRYING, memory.REMEMBERED_FOR)
    assert "for seven days from the decision" in DOCS


# --- errors -----------------------------------------------------------------------------------------------


def refusals(kind: type[Refusal] = Refusal) -> set[type[Refusal]]:
    return {kind}.union(*(refusals(under) for under in kind.__subclasses__()))


def status_of(kind: type[Refusal]) -> int:
    return next((int(protocol._STATUS_OF[base]) for base in kind.__mro__ if base in protocol._STATUS_OF), 500)


def answered() -> dict[str, int]:
    """Every code that the API answers with, and its status: from the classes, and from what is raised with a code."""
    by_name = {kind.__name__: kind for kind in refusals() if status_of(kind) != 500}
    codes = {kind.code: status_of(kind) for kind in by_name.values()}
    for path in (*(ROOT / "bot").glob("*.py"), *(ROOT / "handlers").glob("*.py")):
        if path.name == "changed_calls.py":
            continue  # a person's form in Slack
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            given = [word.value for word in node.keywords if word.arg == "code"]
            if node.func.id in by_name:
                status = status_of(by_name[node.func.id])
            elif node.func.id == "_HttpRefusal":
                assert isinstance(node.args[0], ast.Attribute)
                status, given = getattr(protocol.HTTPStatus, node.args[0].attr), [node.args[1]]
            else:
                continue
            for code in given:
                if isinstance(code, ast.Constant):
                    codes[str(code.value)] = int(status)
    # What is chosen by an expression, or answered without a refusal.
    codes |= {"missing_field": 400, "invalid_field": 400, "internal": 500, "store_unavailable": 503}
    return {code: status for code, status in codes.items() if code not in OF_BASES}


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = {code.strip("`"): int(status) for status, code, *_ in section("Errors")}
    assert documented == answered()
    assert all(len(row) == 4 and row[2] for row in section("Errors"))


@pytest.mark.parametrize("page", ["README.md", "docs/agents/README.md", "docs/operations.md"])
def test_the_page_is_found_from(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]*protocol\.md)[^)]*\)", text)
    assert links
    for link in links:
        assert ((ROOT / page).parent / link).resolve() == ROOT / "docs" / "protocol.md"


def test_the_page_leads_to_what_is_there() -> None:
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", DOCS):
        text = (ROOT / "docs" / link).read_text(encoding="utf-8")
        headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        assert not anchor or anchor in headings
