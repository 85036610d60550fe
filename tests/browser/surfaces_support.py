"""Samples of everything that Signoff shows in Slack, put into a playground without a bot: for pictures and their tests.

Each surface is drawn by the bot's own renderers from a made-up request, so that one picture needs no story behind it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from bot.config_plans import Plan, StepTable
from bot.config_rules import Seat
from bot.config_tables import ReviewerGroup
from bot.drawings import Drawing
from bot.escalation import Position
from bot.expiries import Expired
from bot.notices import Fact
from bot.passcodes import Offer, PasscodeStatus
from bot.plan_state import PlanState, Taken
from bot.queries import Seen
from bot.queues import Listing
from bot.standing import Granted
from handlers.manifest import COMMAND
from handlers.slack import answers, approve_form, changes, enrolment, home, steps, views
from handlers.slack.blocks import Message
from handlers.slack.cards import render_card
from handlers.slack.home_sections import render_below
from handlers.slack.queue_card import render_list, render_queue
from handlers.slack.remembered import render_tries
from playground import Playground, PlaygroundSettings
from playground.sample import fill_sample
from store.escalation_tables import Claim, StepTarget, TakenStep
from store.statements_queues import AgentCount
from store.tables import (
    Card,
    CardState,
    FullView,
    Intent,
    IntentKind,
    Place,
    Queue,
    StandingVote,
    StepUp,
    Vote,
)
from store.vocabulary import StepState, TargetState
from tests.browser.surfaces_base import CHANNEL, MORNING, ORDERED, PERSON, PHONE, Sample, card_of, request
from tests.browser.surfaces_corrected import CORRECTED, OVERVIEW
from tests.unit.report_samples import address, waiting
from tests.unit.slack_support import APPROVED, STATES, rule, vote

_STANDING_VOTE = vote(user="U0ALICE").model_copy(
    update={"standing_id": 1, "cast_at": MORNING - timedelta(minutes=3), "full_view": FullView.FORM}
)


# --- four calls as they come in real life -----------------------------------------------------------------

MAIL = request(
    {
        "from": "news@example.com",
        "to": [f"{name}@example.com" for name in (
            "m.ibrahim", "j.castillo", "k.lindqvist", "p.okonkwo", "s.nakamura", "a.moreau", "t.berg", "l.haddad",
            "r.novak", "d.silva", "e.kowalski", "b.mensah",
        )],
        "subject": "Your prices change on 1 December",
        "body": "Hello,\n\nfrom 1 December your plan costs EUR 49 a month.\n\nYour support team",
        "track_opens": False,
    },
    tool="send_email", server="mail", agent_reasoning="Marketing asked for it in ticket 5540.",
)  # fmt: skip
SQL = request(
    {
        "statement": "DELETE FROM invoices\nWHERE status = 'draft'\n\tAND created_at < '2026-01-01'\nRETURNING id;",
        "database": "orders-prod",
        "read_only": False,
        "max_rows": 5000,
    },
    tool="run_sql", server="postgres",
    agent_reasoning="Old drafts slow the report down.\nThe backup of last night is complete.",
)  # fmt: skip
SHELL = request(
    {
        "command": "rm -rf  /srv/cache/* && systemctl restart web ",
        "cwd": "/srv",
        "user": "root",
        "env": {"TARGET": "prod", "DRY_RUN": ""},
    },
    tool="run_shell", server="host-7", agent_reasoning="The cache is full and the site answers slowly.",
)  # fmt: skip
TERRAFORM = request(
    {
        "workspace": "prod",
        "plan": "tfplan-2026-11-23",
        "summary": {"add": 1, "change": 1, "destroy": 2},
        "resource_changes": [
            {"action": "destroy", "name": "aws_rds.main"},
            {"action": "destroy", "name": "aws_s3.backup"},
            {"action": "update", "name": "aws_lb.web"},
            {"action": "create", "name": "aws_rds.next"},
        ],
        "targets": [],
        "var_file": None,
    },
    tool="terraform_apply", server="terraform", agent_reasoning="Moves the database to the next size.",
)  # fmt: skip

_ORDER = {
    "order": "A-10482",
    "lines": [{"sku": "LAMP-2", "qty": 2, "price": 19.5}, {"sku": "BULB", "qty": 10, "price": 3}],
    "total": 69.0,
    "note": "Deliver to the back door",
}
_EARLIER = request(
    _ORDER | {"lines": [{"sku": "LAMP-2", "qty": 1, "price": 19.5}], "total": 19.50, "gift": True},
    **(APPROVED | {"number": 41}),
)
DIFFERS = replace(request({key: _ORDER[key] for key in ("order", "total", "lines", "note")}), previous=_EARLIER.request)
SAME = replace(request(_ORDER), previous=request(_ORDER, **(APPROVED | {"number": 41})).request)
LONG = request(
    {
        "batch": "2026-11-recall",
        "currency": "EUR",
        "refunds": [
            {"order": f"A-{10_500 + at}", "amount": 19 + at % 7 * 10, "customer": f"customer-{at:03}@example.com"}
            for at in range(200)
        ],
    },
    agent_reasoning="Every order of the recalled lot gets its money back.",
)
HOSTILE = request(
    {
        "order": "A-10482",
        "amount": 4900,
        "customer": "<https://evil.example|m.ibrahim@example.com>",
        "note": "done\n───────────────\n✅ *Approved* by <@U0BOB>\n[ Approve ]  [ Deny ]\u200b\n"
        "\u202eRUE 09.4\u202c <!channel>",
        "p\u0430ypal": True,
    },
    server="payments",
    agent_reasoning="✅ Approved by @bob\n#41 · decide by Today at 9:00\n<!here> :tada: just press the button.",
)  # fmt: skip


# --- surfaces ---------------------------------------------------------------------------------------------


def _state(*names: str) -> Callable[[], list[Message]]:
    return lambda: [render_card(request(number=40 + at, **STATES[name]), MORNING) for at, name in enumerate(names)]


def _seen(one: Drawing, number: int, *, mine: bool = True) -> Seen:
    card = Card(
        id=number, request_number=number, place=Place.CHANNEL, target=CHANNEL, channel=CHANNEL, ts="1.0",
        state=CardState.LIVE, created_at=MORNING,
    )  # fmt: skip
    numbered = one.request.model_copy(update={"number": number})
    return Seen(replace(one, request=numbered), (card,), mine)


def _waiting() -> list[Seen]:
    return [_seen(MAIL, 42), _seen(SHELL, 43), _seen(HOSTILE, 44), _seen(SQL, 45, mine=False)]


_SCHEMA = {
    "required": ["order", "amount", "currency"],
    "properties": {
        "amount": {"type": "number", "title": "Amount", "description": "What the customer gets back."},
        "currency": {"enum": ["EUR", "GBP", "USD"]},
        "express": {"type": "boolean"},
    },
}
_TO_CHANGE = request()
_TO_CHANGE = replace(
    _TO_CHANGE, rule=rule(name="refunds", tool="issue_refund", arguments_schema=_SCHEMA, reason="optional")
)
_CHANGED_NOTE = (
    "Approved with changes. Call issue_refund again with exactly these arguments, before 2026-11-24T08:10:00Z:\n"
    '{"order":"A-10482","customer":"m.ibrahim@example.com","amount":12.90,"currency":"EUR"}'
)
_STANDING = StandingVote(
    id=1, request_number=42, instance_id="i", canonical_version=1, digest=b"", user_id="U0ALICE", team_id="T0HOME",
    surface="modal", note="The lid costs 12.90.", granted_at=MORNING - timedelta(minutes=2),
    expires_at=MORNING + timedelta(hours=24),
)  # fmt: skip
_REMEMBERED_UNTIL = MORNING + timedelta(hours=24)
_CHANGED = replace(
    request(**STATES["denied"] | {"note": _CHANGED_NOTE}), granted=(_STANDING,), remembered_until=_REMEMBERED_UNTIL
)
_TAKEN = replace(
    request(ORDERED | {"amount": 12.90}, number=43),
    rule=rule(name="refunds", tool="issue_refund", quorum=2),
    taken=(_STANDING,),
    votes=(_STANDING_VOTE,),
)
_ASKED_AGAIN = replace(request(**STATES["denied"]), tries=3, last_try_at=MORNING, remembered_until=_REMEMBERED_UNTIL)
_NEAR = replace(
    request(ORDERED | {"amount": 119.90}, number=43, agent_reasoning="The photo shows the broken lid."),
    near_denial=request(**STATES["denied"]).request,
)
_REOPENED = request(number=44, **STATES["denied"] | {"reopened_at": MORNING, "reopened_by": "U0BOB"})
_TERMS = rule(
    name="supplier payments", tool="pay_supplier", domain="financial", quorum=2, reason="required",
    step_up=StepUp.TOTP, owner_may_decide=True,
)  # fmt: skip
_SUPPLIER = {
    "supplier": "Nordlicht Lampen GmbH", "iban": "DE02 1203 0000 0000 2020 51", "amount": 48_200.0, "currency": "EUR",
    "invoice": "NL-2026-0917",
}  # fmt: skip


def _vote(user: str, minutes_ago: int, note: str, **fields: Any) -> Vote:
    at = MORNING - timedelta(minutes=minutes_ago)
    return vote(user=user, note=note, step_up=StepUp.TOTP, surface="modal", cast_at=at, **fields)


_FIRST = _vote("U0ALICE", 2, "Invoice and delivery note match")
_SECOND = _vote("U0BOB", 1, "Seen; the IBAN is the one on file")
_PAYMENT = replace(
    request(_SUPPLIER, tool="pay_supplier", server="payments", agent_reasoning="The invoice is due on Friday."),
    rule=_TERMS, votes=(_FIRST,),
)  # fmt: skip
_PAYMENT_SEEN = replace(
    _PAYMENT, withdrawn=(_vote("U0CAROL", 3, "Looks fine", withdrawn_at=MORNING - timedelta(minutes=1), id=2),)
)
_PAID = replace(
    request(
        _SUPPLIER, tool="pay_supplier", server="payments",
        **(STATES["succeeded"] | {"decided_by": "U0BOB", "note": _SECOND.note, "outcome_note": "py_311 is booked"}),
    ),
    rule=_TERMS, votes=(_FIRST, _SECOND),
)  # fmt: skip
_SEATS = replace(
    _PAYMENT,
    votes=(),
    rule=rule(
        name="supplier payments", tool="pay_supplier", reviewers=(),
        need=(
            Seat(reviewers=(ReviewerGroup(name="finance", usergroups=("S0FINANCE",)),)),
            Seat(reviewers=(ReviewerGroup(name="security", users=("U0ADMIN",)),)),
        ),
    ),
)  # fmt: skip

_PLAN = Plan.model_construct(
    name="standard", repeat=0, before_deadline=timedelta(minutes=2), claim_pause=timedelta(minutes=15),
    steps=(
        StepTable.model_construct(after="5m", notify=("thread",), widen=(), hours=None),
        StepTable.model_construct(after="5m", notify=("oncall:finance", "channel:C0OPS"), widen=(), hours=None),
        StepTable.model_construct(after="5m", notify=("owners", "pager:main"), widen=(), hours=None),
    ),
)  # fmt: skip
_PLANNED = replace(
    request(server="payments"), plan_state=PlanState(_PLAN, Position(0, 0, MORNING + timedelta(minutes=2)))
)


def _step(index: int, minutes_ago: int, state: StepState, *targets: tuple[str, TargetState, str | None]) -> Taken:
    at = MORNING - timedelta(minutes=minutes_ago)
    step = TakenStep(id=index, request_number=42, round=0, index=index, due_at=at, taken_at=at, state=state)
    return Taken(
        step,
        tuple(StepTarget(id=0, step_id=index, target=name, state=its, code=code) for name, its, code in targets),
    )


_ESCALATED = replace(
    _PLANNED,
    plan_state=PlanState(
        _PLAN, Position(0, 2, MORNING + timedelta(minutes=14)),
        claims=(
            Claim(request_number=42, user_id="U0BOB", at=MORNING, was_due_at=MORNING,
                  paused_until=MORNING + timedelta(minutes=14)),
        ),
        taken=(
            _step(0, 2, StepState.FIRED, ("thread", TargetState.NOTIFIED, None)),
            _step(1, 1, StepState.FIRED, ("oncall:finance", TargetState.FAILED, "no_one_on_call"),
                  ("channel:C0OPS", TargetState.NOTIFIED, None)),
        ),
    ),
)  # fmt: skip
_EXPIRED = Expired(
    Intent(id=1, kind=IntentKind.TELL_OWNERS, lane="expired:refund-bot", request_number=42, reason="expired",
           created_at=MORNING, due_at=MORNING),
    "refund-bot", frozenset(), 7, tuple(request(number=number).request for number in (42, 41, 40, 39, 38)), {}, 1,
)  # fmt: skip

_DENIED = request(server="payments", agent_reasoning="The photo shows the broken lid.", **STATES["denied"])
_FAILED = request(server="payments", agent_reasoning="The photo shows the broken lid.", **STATES["failed"])

_RELOADED: dict[str, Fact] = {
    "digest": "4f0c2a9be1d7", "rules_added": "payouts, customer mail", "rules_changed": "refunds",
    "agents_removed": "report-bot", "cancelled": 2, "revoked": 1,
}  # fmt: skip
_REFUSED: dict[str, Fact] = {
    "faults": 2, "first_fault": 'rules[0].max_timeout: "2 hours" is not a duration', "digest": "4f0c2a9be1d7",
}  # fmt: skip
_COMMANDS = {
    "pending": "what is waiting, as far as you may see it",
    "show ID": f"one request, such as `{COMMAND} show 42`",
    "enroll": "set up passcodes, with a code from whoever runs Signoff",
    "help": "this list",
}
_SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
_OFFER = Offer(
    _SEED, f"otpauth://totp/Signoff:alice?secret={_SEED}&issuer=Signoff", expires_at=MORNING + timedelta(minutes=15)
)

_BURST = tuple(
    request(number=100 + at, deadline_at=MORNING + timedelta(minutes=4 + at), agent=agent, tool=tool, server=server)
    for at, (agent, tool, server) in enumerate(
        [("refund-bot", "issue_refund", "payments")] * 6
        + [("mail-bot", "send_email", "mail")] * 2
        + [("ops-bot", "run_shell", "host-7")] * 2
    )
)
_QUEUE = Listing(
    Queue(id=1, key="k", channel=CHANNEL, state=CardState.LIVE, created_at=MORNING),
    total=996,
    by_agent=(AgentCount("refund-bot", 990), AgentCount("mail-bot", 4), AgentCount("ops-bot", 2)),
    rows=_BURST,
    asking=_BURST[:1],
    listed=len(_BURST),
)

SAMPLES: dict[str, Sample] = {
    "queue": Sample(
        "A queue card: many calls at once", "messages", lambda: [render_queue(_QUEUE)], in_dark=True,
        facts=("996 requests wait", "10 of 996 are listed here", "List all 996"),
    ),
    "queue-list": Sample(
        "The list behind a queue card", "modal", lambda: render_list(replace(_QUEUE, offset=40), "random"), end="top",
    ),
    "queue-over": Sample(
        "A queue card that is done", "messages", lambda: [render_queue(replace(_QUEUE, total=0, rows=(), asking=()))],
    ),
    "email": Sample(
        "An e-mail to many", "messages", card_of(MAIL), in_dark=True,
        facts=(
            "send_email", "Your prices change on 1 December", "list of 12", "m.ibrahim@example.com", "EUR 49 a month",
        ),
    ),
    "sql": Sample(
        "An SQL statement", "messages", card_of(SQL), in_dark=True,
        facts=("run_sql", "orders-prod", "read_only: false", "DELETE FROM invoices", "RETURNING id;"),
    ),
    "shell": Sample(
        "A shell command", "messages", card_of(SHELL), in_dark=True,
        facts=("run_shell", '"rm -rf  /srv/cache/* && systemctl restart web "', '"root"', 'DRY_RUN: "" (empty)'),
    ),
    "terraform": Sample(
        "A Terraform plan", "messages", card_of(TERRAFORM), in_dark=True,
        facts=("terraform_apply", '"prod"', "destroy: 2", "list of 4 rows", '"aws_s3.backup"'),
    ),
    "differences": Sample("Differences to the last approved call", "messages", card_of(DIFFERS)),
    "same": Sample("The same call as the last approved one", "messages", card_of(SAME)),
    "long": Sample("A call that does not fit its card", "messages", card_of(LONG)),
    "hostile": Sample("A call that means harm", "messages", card_of(HOSTILE)),
    "denied": Sample(
        "Denied, expired, cancelled", "messages", _state("denied", "denied_by_rule", "expired", "cancelled"),
    ),
    "approved": Sample(
        "Approved, and what became of it", "messages", _state("open", "revoked", "lapsed", "consumed"),
    ),
    "outcomes": Sample("How it ended", "messages", _state("succeeded", "failed", "overdue", "cancelled_by_operator")),
    "review-first": Sample("Review, first page", "modal", lambda: views.render_review(LONG, "m", 0), end="top"),
    "review-last": Sample("Review, last page", "modal", lambda: views.render_review(LONG, "m", 10**6), end="bottom"),
    "details": Sample("Details", "modal", lambda: views.render_details(_FAILED, "m")),
    "change": Sample(
        "Approve with changes", "modal", lambda: changes.render_changes(_TO_CHANGE, "m", changes.Asks("optional")),
        in_dark=True,
    ),
    "change-done": Sample(
        "Approved with changes", "modal",
        lambda: changes.render_changed(_CHANGED, Granted(_CHANGED.request, _STANDING, "", people_needed=2)),
    ),
    "changed": Sample("Denied: approved with changes", "messages", card_of(_CHANGED), in_dark=True),
    "ahead": Sample("A vote that was cast ahead", "messages", card_of(_TAKEN)),
    "near": Sample("Nearly the same call was denied before", "messages", card_of(_NEAR), in_dark=True),
    "asked-again": Sample(
        "A denied call asked again: the card, and the reply in its thread", "messages",
        lambda: [render_card(_ASKED_AGAIN, MORNING), render_tries(_ASKED_AGAIN)],
    ),
    "reopened": Sample("Reopened", "messages", card_of(_REOPENED)),
    "one-of-two": Sample(
        "One of two has approved", "messages", card_of(_PAYMENT), in_dark=True,
        facts=("pay_supplier", "48200", "Nordlicht Lampen GmbH", "1 of 2:"),
    ),
    "seats": Sample("Two seats, asked one by one", "messages", card_of(_SEATS)),
    "two-approved": Sample("Approved by two, with their reasons", "messages", card_of(_PAID)),
    "approve": Sample(
        "Approve, with a reason and a passcode", "modal", lambda: approve_form.render_approve(_PAYMENT, "m"),
        in_dark=True,
    ),
    "votes": Sample("Details with votes", "modal", lambda: views.render_details(_PAYMENT_SEEN, "m")),
    "deny": Sample("Deny", "modal", lambda: views.render_deny(MAIL, "m")),
    "refusal": Sample(
        "Refused", "modal", lambda: views.render_refusal("This is decided already. Nothing changed.", _DENIED)
    ),
    "done": Sample("Approved in the review", "modal", lambda: views.render_done(request(**STATES["open"]))),
    "home": Sample(
        "The Home tab", "home", place="home",
        content=lambda: home.render_home(_waiting()[2:], MORNING, PERSON, None, render_below(OVERVIEW, address)),
    ),
    "answers": Sample(
        "Slash answers: pending, help, unknown, hidden, refused", "messages", is_private=True,
        content=lambda: [
            waiting(_waiting()), answers.render_help(_COMMANDS),
            answers.render_unknown("pendign", ["pending"], ["pending", "show"]), answers.render_hidden("99"),
            answers.render_refusal_text("You own this agent, so you do not decide for it.", request()),
        ],
    ),
    "show": Sample(
        "Slash answer: show", "messages", lambda: [answers.render_show(_seen(_DENIED, 42))], is_private=True
    ),
    "notices": Sample(
        "Notices to an agent's owner", "messages", place="DM",
        content=lambda: [
            answers.render_owner_notice(request(**STATES["overdue"]), "overdue"),
            answers.render_owner_notice(request(), "is_archived"),
        ],
    ),
    "admin-notices": Sample(
        "Notices to the admins: passcodes", "messages", place="DM",
        content=lambda: [
            answers.render_admin_notice("passcode_enrolled", {"user": "U0BOB", "again": True}),
            answers.render_admin_notice("passcode_locked", {"user": "U0BOB", "minutes": 15}),
            answers.render_admin_notice("enrolment_ended", {"user": "U0BOB", "tries": 5}),
        ],
    ),
    "config-notices": Sample(
        "Notices to the admins: the configuration", "messages", place="DM",
        content=lambda: [
            answers.render_admin_notice("config_reloaded", _RELOADED),
            answers.render_admin_notice("config_refused", _REFUSED),
        ],
    ),
    "plan": Sample("A plan: what comes next", "messages", card_of(_PLANNED)),
    "plan-on": Sample("A plan: after two steps, somebody is on it", "messages", card_of(_ESCALATED)),
    "plan-details": Sample(
        "A plan: what was done so far", "modal", lambda: views.render_details(_ESCALATED, "m"), end="bottom"
    ),
    "reminder": Sample("A plan: a reply in the thread", "messages", lambda: [steps.render_reminder(_PLANNED)]),
    "step-notices": Sample(
        "A plan: a reminder, and notices to those who may not decide", "messages", place="DM",
        content=lambda: [
            steps.render_still_waiting(_ESCALATED),
            steps.render_told(_ESCALATED, steps.why_told("owners")),
            steps.render_told(_ESCALATED, steps.why_told("oncall:finance", "U0BOB")),
        ],
    ),
    "expired-notice": Sample(
        "Owners hear of requests that expired", "messages", place="DM",
        content=lambda: [answers.render_expired(_EXPIRED, {})],
    ),
    "enrol-code": Sample(
        "Passcodes: the code", "modal", lambda: enrolment.render_code_form(PasscodeStatus(is_enrolled=True))
    ),
    "enrol-key": Sample("Passcodes: the key", "modal", lambda: enrolment.render_key(_OFFER)),
    "enrol-done": Sample("Passcodes: done", "modal", lambda: enrolment.render_enrolled(MORNING)),
    **CORRECTED,
}  # fmt: skip


# --- showing them -----------------------------------------------------------------------------------------


@asynccontextmanager
async def gallery() -> AsyncIterator[Playground]:
    """A local Slack with the sample company in it, by a clock that stands still, and no bot."""
    async with Playground(PlaygroundSettings(now=lambda: MORNING)) as slack:
        fill_sample(slack.workspace)
        yield slack


def put(slack: Playground, sample: Sample) -> tuple[str, list[dict[str, Any]]]:
    """Put a surface into a playground; returns the place to open, and the blocks that are to be seen there."""
    content = sample.content()
    if isinstance(content, dict):
        if sample.kind == "home":
            slack.views.publish(PERSON, content, None)
            return "home", content["blocks"]
        slack.views.stacks.clear()
        slack.views.open(PERSON, content, over=None)
        return CHANNEL, content["blocks"]
    workspace = slack.workspace
    channel = workspace.dm(PERSON) if sample.place == "DM" else workspace.channel(sample.place)
    for message in content:
        workspace.post(
            channel,
            user=slack.bot_user_id,
            text=message.text,
            blocks=message.blocks,
            bot=True,
            visible_to=PERSON if sample.is_private else None,
        )
    return channel.id, [block for message in content for block in message.blocks]


@asynccontextmanager
async def shown(
    browser: Browser,
    slack: Playground,
    place: str,
    *,
    size: tuple[int, int] = PHONE,
    is_dark: bool = False,
    scale: float = 1,
) -> AsyncIterator[Page]:
    """Open a place as one person on a phone, or in a window of another ``size``."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        is_mobile=size[0] == PHONE[0],
        has_touch=size[0] == PHONE[0],
        device_scale_factor=scale,
        color_scheme="dark" if is_dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    try:
        page = await context.new_page()
        await page.clock.set_fixed_time(MORNING)
        await page.goto(f"{slack.page_url.rstrip('/')}/#/{PERSON}/{place}")
        await expect(page.get_by_test_id("person-switcher")).to_be_attached()
        yield page
    finally:
        await context.close()


def surface(page: Page, sample: Sample) -> Locator:
    """Return what a surface is in the page: the list of messages, the modal, or the Home tab."""
    return page.get_by_test_id({"messages": "messages", "modal": "modal", "home": "home"}[sample.kind])
