"""What a vote or a decision puts an end to, in its own transaction: votes cast ahead for the same call, pagers' calls.

Nothing here decides; see ``bot.decisions``.
"""

from datetime import datetime

from bot.config_plans import parse_target
from bot.events import EventType, append_event, body_bytes
from bot.wishes import add_intent, wish_to_draw
from store import statements, statements_ahead, statements_paging
from store.tables import IntentKind, Request, Status
from store.unit import Unit
from store.vocabulary import TargetState


async def end_votes_ahead(unit: Unit, request: Request, user_id: str, now: datetime) -> None:
    """End the votes that were cast ahead for a call on which people vote now: nobody's shall count on it once more.

    A denial ends all that wait for this call of the agent's, an approval those of the instance, and a vote that decides
    nothing yet the voter's own.
    """
    call = {"digest": request.digest, "canonical_version": request.canonical_version, "lifted_at_": now}
    if request.status is Status.DENIED:
        lifted = await unit.all(statements_ahead.LIFT_STANDING_OF_AGENT, agent=request.agent, **call)
    elif request.status is Status.APPROVED:
        lifted = await unit.all(statements_ahead.LIFT_STANDING_OF_CALL, instance_id=request.instance_id, **call)
    else:
        lifted = await unit.all(
            statements_ahead.LIFT_STANDING, instance_id=request.instance_id, user_id=user_id, **call
        )
    for one in lifted:
        await append_event(
            unit, now, EventType.STANDING_LIFTED, request, standing=one.id, user=one.user_id, code="voted_since"
        )
        origin = await unit.one(statements.REQUEST, number=one.request_number)
        if origin is not None:
            await wish_to_draw(unit, origin, "standing_lifted", now)


async def end_pages(unit: Unit, request: Request, now: datetime) -> None:
    """Have each pager that was called for ``request`` told that it is over: after the call, if that is under way."""
    pages = await unit.all(statements_paging.PAGES_OF, request_number=request.number)
    last = {page.target: page.id for page in pages}
    for page in pages:
        if page.state is TargetState.WAITING or page.id == last[page.target]:
            about = body_bytes({"pager": parse_target(page.target).id}).decode()
            await add_intent(
                unit, IntentKind.END_PAGE, f"step:{page.id}", now, reason="ended", request=request, about=about
            )
