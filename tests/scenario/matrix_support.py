"""Every way in which somebody may try to decide, tried as anybody: also as those whom Slack would not let press.

An entry tries one thing on a request of its own and returns what came of it: ``done``, or the code of what the person
was told, by the words that they saw.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from bot.call import CANONICAL_VERSION
from bot.cards import add_card
from bot.hearings import Act
from playground.model import Json, Message, View
from store import statements_ahead, statements_escalation
from store.tables import FullView, Instance, OverrideKind, Place, Request, Status, VoteKind
from tests.conftest import TEAM, submission
from tests.scenario.slack_support import Bot, long_arguments

HELPER = "U0HELEN"  # a reviewer who prepares what an entry needs, always by the front door
CHANNEL = "C0REFUNDS"
COPIES = "C0COPIES"
AT_A_TIME = 20

TOLD = {
    "not_a_reviewer": "lets only its reviewers decide",
    "owner": "owners never decide",
    "own_instance": "asks on your behalf",
    "guest": "Guests cannot decide",
    "bot": "A bot cannot decide",
    "deactivated": "deactivated account cannot decide",
    "foreign_team": "Only members of this workspace can decide",
    "unknown_person": "Slack does not know you well enough",
    "not_theirs": "Only reviewers of rule",
    "not_an_admin": "Only admins may force",
    "owner_forces": "owners never force anything",
    "not_visible": "You may not see this request",
    "no_vote": "You have no vote here to withdraw",
    "no_card": "not a card that Signoff posted",
    "no_form": "not a form that Signoff opened for you",
}


class Desk:
    """One bot, and an instance of its agent; each entry asks for a request of its own."""

    def __init__(self, bot: Bot, instance: Instance) -> None:
        self.bot, self.slack, self.instance = bot, bot.slack, instance
        self._serial = 0
        self._stock: dict[str, list[Request]] = {}  # asked beforehand, many at a time: to wait for one takes as long

    # --- preparing ---

    async def ask(self, kind: str = "short") -> tuple[Request, Message]:
        """Return a request whose call was never sent before, and its card, which shows it whole unless it is long."""
        if not self._stock.get(kind):
            tool = {"reasoned": "send_reasoned", "two": "send_two", "planned": "send_planned"}.get(kind, "issue_refund")
            self._stock[kind] = [await self.submit(tool, kind == "long") for _ in range(AT_A_TIME)]
            await self.bot.until_delivered()
        request = self._stock[kind].pop()
        [card] = self.bot.cards(request)
        return request, card

    async def submit(self, tool: str = "issue_refund", is_long: bool = False, arguments: str | None = None) -> Request:
        self._serial += 1
        number = f'{{"amount": {self._serial}}}'
        text = arguments or (long_arguments(60)[:-1] + f', "serial": {self._serial}}}' if is_long else number)
        request, _ = await self.bot.creation.submit(self.instance, submission(tool, text), f"k{self._serial}")
        return request

    async def vote(self, request: Request, kind: VoteKind) -> None:
        self._serial += 1
        act = Act(f"helper{self._serial}", HELPER, TEAM, "card", CHANNEL, FullView.CARD)
        await self.bot.decisions.vote(request.number, act, kind, "no" if kind is VoteKind.DENY else None)

    @contextmanager
    def awake(self, user: str) -> Iterator[None]:
        """Let somebody press who could not: one whose account is gone, or never was, or is a bot's."""
        users = self.slack.workspace.users
        person = users.get(user) or self.slack.workspace.add_user(user)
        was_deleted, was_bot = person.deleted, person.is_bot
        person.deleted = person.is_bot = False
        yield
        person.deleted, person.is_bot = was_deleted, was_bot
        if user == "U0NOBODY":
            del users[user]

    def press_payload(self, user: str, card: Message, action: str, **changed: str) -> Json:
        """A press on a card; of a button that is not on it, as if it were."""
        with self.awake(user):
            shown = action if action in card.action_ids() else "details"
            payload = self.slack.click_payload(user, card.channel, card.ts, shown, **changed)
        payload["actions"][0]["action_id"] = action
        return payload

    async def press(self, user: str, card: Message, action: str) -> None:
        ack = await self.slack.deliver(self.press_payload(user, card, action))
        assert ack.ok

    # --- what came of it ---

    async def top(self, user: str) -> View:
        """Wait for the modal that somebody sees."""
        return await self.slack.until(lambda: self.slack.modals(user)[-1] if self.slack.modals(user) else None)

    async def told(self, user: str) -> str:
        """Wait for what somebody is told; returns its code."""
        seen = (await self.top(user)).all_text()
        codes = [code for code, words in TOLD.items() if words in seen]
        assert len(codes) == 1, seen
        return codes[0]

    async def came_to(self, user: str, request: Request, status: Status) -> str:
        """``done`` if the request is decided so, else what the person is told."""
        if await self.bot.status(request) is status:
            return "done"
        return await self.told(user)

    def forget(self, user: str) -> None:
        """Close all that somebody has open."""
        for bottom in self.slack.modals(user)[:1]:
            self.slack.views.close(bottom, all_of_them=True)

    async def form(self, user: str, title: str) -> View | None:
        """Wait for a form that is open to somebody; None if it is a refusal."""
        view = await self.top(user)
        return view if title in view.all_text() and view.submit is not None else None

    async def say_why(self, user: str, asks: str) -> None:
        """Fill in the form of an override, if it is open to somebody."""
        shown = await self.form(user, asks)
        if shown is not None:
            assert (await self.slack.submit(user, shown.id, {"approve_reason": "so be it"})).response_action == "update"

    async def overridden(self, user: str, request: Request, kind: OverrideKind) -> str:
        """``done`` if the person did it, else what they are told; nobody else did anything."""
        drawing = await self.bot.queries.drawing(request.number)
        assert drawing is not None
        made = [(one.user_id, one.kind) for one in drawing.overrides]
        assert made in ([], [(user, kind)])
        return "done" if made else await self.told(user)


# --- the entries ---


async def approve(desk: Desk, user: str) -> str:
    request, card = await desk.ask()
    await desk.press(user, card, "approve")
    return await desk.came_to(user, request, Status.APPROVED)


async def deny(desk: Desk, user: str) -> str:
    request, card = await desk.ask()
    await desk.press(user, card, "deny")
    form = await desk.form(user, "Why not?")
    if form is not None:
        await desk.slack.submit(user, form.id, {"reason": "too_risky"})
    return await desk.came_to(user, request, Status.DENIED)


async def review(desk: Desk, user: str) -> str:
    """To the last page, and there Approve."""
    request, card = await desk.ask("long")
    assert "approve" not in card.action_ids()
    await desk.press(user, card, "review")
    return await _approve_on_last_page(desk, user, request)


async def form(desk: Desk, user: str) -> str:
    """Approve where a reason is asked for."""
    request, card = await desk.ask("reasoned")
    await desk.press(user, card, "approve")
    shown = await desk.form(user, "wants to run")
    if shown is not None:
        ack = await desk.slack.submit(user, shown.id, {"approve_reason": "it is owed"})
        assert ack.response_action == "clear"
    return await desk.came_to(user, request, Status.APPROVED)


async def change(desk: Desk, user: str) -> str:
    request, card = await desk.ask()
    await desk.press(user, card, "change")
    shown = await desk.form(user, "This call is denied")
    if shown is not None:
        await desk.slack.submit(user, shown.id, {"argument_0": "0.5"})
    return await desk.came_to(user, request, Status.DENIED)


async def copy(desk: Desk, user: str) -> str:
    """Approve on a copy of the card, as a step brings it to another channel."""
    request, _ = await desk.ask()
    await desk.bot.store.write(
        lambda unit: add_card(unit, request, Place.STEP, COPIES, desk.bot.clock(), reason="step")
    )
    [card] = await desk.slack.until(lambda: desk.bot.cards(request, COPIES))
    await desk.press(user, card, "approve")
    return await desk.came_to(user, request, Status.APPROVED)


async def claim(desk: Desk, user: str) -> str:
    """*I'm on it* decides nothing; it holds a plan up, for those who may decide."""
    request, card = await desk.ask("planned")
    await desk.press(user, card, "claim")
    assert await desk.bot.status(request) is Status.PENDING
    claims = await desk.bot.store.read(
        lambda unit: unit.all(statements_escalation.CLAIMS_OF, request_number=request.number)
    )
    return "done" if [one.user_id for one in claims] == [user] else await desk.told(user)


async def withdraw(desk: Desk, user: str) -> str:
    """The own vote, which there is only if it could be cast; another's stays where it is."""
    request, card = await desk.ask("two")
    await desk.vote(request, VoteKind.APPROVE)
    if user in MAY:
        request, card = await desk.ask("two")
        await desk.press(user, card, "approve")
    await desk.press(user, card, "withdraw")
    standing = [vote.user_id for vote in (await desk.bot.decisions.ballot(request.number)).votes]
    if user in MAY:
        assert standing == []
        return "done"
    assert standing == [HELPER]
    return await desk.told(user)


async def standing(desk: Desk, user: str) -> str:
    """A vote that lies ready for the call, however it came to be there."""
    earlier, _ = await desk.ask()
    now = desk.bot.clock()
    sent = submission("issue_refund", f'{{"ahead": "{user}"}}')
    await desk.bot.store.write(
        lambda unit: unit.one(
            statements_ahead.INSERT_STANDING,
            request_number=earlier.number,
            instance_id=desk.instance.id,
            canonical_version=CANONICAL_VERSION,
            digest=sent.digest,
            user_id=user,
            team_id=TEAM,
            note=None,
            surface="modal",
            full_view=FullView.FORM,
            step_up=None,
            granted_at=now,
            expires_at=now + timedelta(hours=1),
        )
    )
    request = await desk.submit(arguments=f'{{"ahead": "{user}"}}')
    return {Status.APPROVED: "done", Status.PENDING: "not_taken"}[request.status]


async def reopen(desk: Desk, user: str) -> str:
    request, card = await desk.ask()
    await desk.vote(request, VoteKind.DENY)
    await desk.press(user, card, "reopen")
    after = await desk.bot.load(request)
    assert after.status is Status.DENIED
    return "done" if after.reopened_by == user else await desk.told(user)


async def revoke(desk: Desk, user: str) -> str:
    request, card = await desk.ask()
    await desk.vote(request, VoteKind.APPROVE)
    await desk.press(user, card, "revoke")
    await desk.say_why(user, "Why must this not happen?")
    return await desk.overridden(user, request, OverrideKind.REVOKED)


async def report(desk: Desk, user: str) -> str:
    request, card = await desk.ask()
    await desk.vote(request, VoteKind.APPROVE)
    await desk.bot.approvals.consume(desk.instance, request.id, "used")
    await desk.press(user, card, "report")
    await desk.say_why(user, "What is wrong with it?")
    return await desk.overridden(user, request, OverrideKind.REPORTED)


async def reverse(desk: Desk, user: str) -> str:
    request, card = await desk.ask()
    await desk.vote(request, VoteKind.DENY)
    await desk.press(user, card, "reverse")
    await desk.say_why(user, "Why is it right after all?")
    assert await desk.bot.status(request) is Status.DENIED
    return await desk.overridden(user, request, OverrideKind.REVERSED)


async def force(desk: Desk, user: str) -> str:
    """Force an approval, chosen in the card's menu."""
    request, card = await desk.ask()
    payload = desk.press_payload(user, card, "details", value=f"force_approve:{request.number}")
    payload["actions"][0]["action_id"] = "more"
    await desk.slack.deliver(payload)
    await desk.say_why(user, "Why can this not wait")
    return await desk.came_to(user, request, Status.APPROVED)


async def home(desk: Desk, user: str) -> str:
    """Review as it stands on the Home tab, and Approve on its last page."""
    request, _ = await desk.ask("long")
    await desk.slack.open_home(HELPER)
    shown = await desk.slack.until(lambda: desk.slack.home(HELPER))
    assert shown is not None
    with desk.awake(user):
        payload = desk.slack.payloads.view_action(
            user=desk.slack.workspace.user(user),
            view=shown,
            actions=[_button("review", request)],
            trigger_id=desk.slack.tickets.issue_trigger(user),
        )
    await desk.slack.deliver(payload)
    return await _approve_on_last_page(desk, user, request)


async def slash(desk: Desk, user: str) -> str:
    """Looking is all that a command does."""
    request, card = await desk.ask()
    with desk.awake(user):
        payload = desk.slack.slash_payload(user, card.channel, f"/signoff show {request.number}")
    ack = await desk.slack.deliver(payload)
    assert ack.text is not None
    assert await desk.bot.status(request) is Status.PENDING
    return "shown" if "issue_refund" in str(ack.body) else "hidden"


async def swapped_value(desk: Desk, user: str) -> str:
    """The button of one card with the number of another request."""
    request, card = await desk.ask()
    other, _ = await desk.ask()
    await desk.slack.deliver(desk.press_payload(user, card, "approve", value=str(other.number)))
    return await _undecided(desk, user, request, other)


async def other_message(desk: Desk, user: str) -> str:
    """The press of one card said to come from another request's."""
    request, card = await desk.ask()
    other, its_card = await desk.ask()
    payload = desk.press_payload(user, card, "approve")
    payload["container"]["message_ts"] = payload["message"]["ts"] = its_card.ts
    await desk.slack.deliver(payload)
    return await _undecided(desk, user, request, other)


async def foreign_message(desk: Desk, user: str) -> str:
    """A message of our own bot that looks like the card and is none."""
    request, card = await desk.ask()
    _, ts = await desk.bot.client.post(CHANNEL, card.text, card.blocks, {"event_type": "x", "event_payload": {}})
    await desk.press(user, desk.slack.message(CHANNEL, ts), "approve")
    return await _undecided(desk, user, request)


async def others_form(desk: Desk, user: str) -> str:
    """The form that was opened for a reviewer, sent by somebody else."""
    request, card = await desk.ask("reasoned")
    await desk.press(HELPER, card, "approve")
    shown = await desk.top(HELPER)
    payload = desk.slack.submit_payload(HELPER, shown.id, {"approve_reason": "it is owed"})
    payload["user"]["id"] = user
    ack = await desk.slack.deliver(payload)
    assert ack.response_action == "update"
    desk.forget(user)
    [told] = desk.slack.modals(HELPER)  # where Slack shows what the app answers to that form
    assert TOLD["no_form"] in told.all_text()
    desk.forget(HELPER)
    assert await desk.bot.status(request) is Status.PENDING
    return "no_form"


async def others_review(desk: Desk, user: str) -> str:
    """Approve on the last page of a review that somebody else has read."""
    request, card = await desk.ask("long")
    await desk.press(HELPER, card, "review")
    shown = await _last_page(desk, HELPER)
    with desk.awake(user):
        payload = desk.slack.payloads.view_action(
            user=desk.slack.workspace.user(user),
            view=shown,
            actions=[_button("review_approve", request)],
            trigger_id=desk.slack.tickets.issue_trigger(user, shown.id),
        )
    before = shown.hash
    await desk.slack.deliver(payload)
    told = await desk.slack.until(lambda: (view := desk.slack.modals(HELPER)[-1]).hash != before and view)
    assert TOLD["no_form"] in told.all_text()
    desk.forget(HELPER)
    assert await desk.bot.status(request) is Status.PENDING
    return "no_form"


ENTRIES: dict[str, Callable[[Desk, str], Awaitable[str]]] = {
    "approve": approve,
    "deny": deny,
    "review": review,
    "form": form,
    "change": change,
    "copy": copy,
    "claim": claim,
    "withdraw": withdraw,
    "standing": standing,
    "reopen": reopen,
    "revoke": revoke,
    "report": report,
    "reverse": reverse,
    "force": force,
    "home": home,
    "slash": slash,
    "value": swapped_value,
    "ts": other_message,
    "message": foreign_message,
    "others_form": others_form,
    "others_review": others_review,
}
MAY = frozenset({"U0ALICE", "U0BOB", "U0CAROL", "U0MEG"})


async def _undecided(desk: Desk, user: str, *requests: Request) -> str:
    code = await desk.told(user)
    for request in requests:
        assert await desk.bot.status(request) is Status.PENDING
        assert (await desk.bot.decisions.ballot(request.number)).votes == ()
    return code


async def _approve_on_last_page(desk: Desk, user: str, request: Request) -> str:
    last = await _last_page(desk, user)
    if "review_approve" not in last.action_ids():
        return await desk.told(user)
    before = last.hash
    await desk.slack.view_click(user, last.id, "review_approve")
    if await desk.bot.status(request) is Status.APPROVED:
        return "done"
    await desk.slack.until(lambda: desk.slack.modals(user)[-1].hash != before)
    return await desk.told(user)


async def _last_page(desk: Desk, user: str) -> View:
    """Turn the pages of the review that is open; a refusal has none."""
    shown = await desk.top(user)
    while "review_next" in shown.action_ids():
        before = shown.hash
        await desk.slack.view_click(user, shown.id, "review_next")
        shown = await desk.slack.until(lambda before=before: (v := desk.slack.modals(user)[-1]).hash != before and v)
    return shown


def _button(action: str, request: Request) -> Json:
    return {"type": "button", "action_id": action, "block_id": "b", "value": str(request.number), "action_ts": "1.1"}
