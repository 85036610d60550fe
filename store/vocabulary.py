"""The words that columns may hold, each vocabulary an enum. Nothing here knows a table."""

from enum import StrEnum


class Status(StrEnum):
    """What became of a request (AAP). All but ``pending`` are final."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class DeciderKind(StrEnum):
    """By whom or what a request was decided."""

    PERSON = "person"
    RULE = "rule"
    ADMIN = "admin"
    CLOCK = "clock"
    AGENT = "agent"  # cancelled its own request
    OPERATOR = "operator"  # on the command line or in the configuration file
    MEMORY = "memory"  # the same call was denied by a person not long ago


class OutcomeStatus(StrEnum):
    """What the agent reported after it ran the call."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class VoteKind(StrEnum):
    APPROVE = "approve"
    DENY = "deny"


class StepUp(StrEnum):
    """What an approval took beyond a click."""

    TOTP = "totp"  # a six-digit passcode of the voter's own device


class CardState(StrEnum):
    """Where a card stands: its post is due or under way, it is in Slack, or it is not and will not be."""

    POSTING = "posting"
    LIVE = "live"
    GONE = "gone"


class Place(StrEnum):
    """What kind of place a card was sent to."""

    CHANNEL = "channel"
    FALLBACK = "fallback"
    DM = "dm"
    STEP = "step"  # repeated elsewhere by a plan's step, with working buttons
    QUEUE = "queue"  # gathered with others on a channel's queue card
    THREAD = "thread"  # a reply under the channel's card that counts the tries of a denied call; nothing to press


class ModalKind(StrEnum):
    DENY = "deny"
    DETAILS = "details"
    REVIEW = "review"
    APPROVE = "approve"  # a reason, a confirmation, a passcode
    CHANGES = "changes"
    OVERRIDE = "override"  # the reason for revoking, reporting, reversing or forcing
    WHY = "why"  # the time line


class FullView(StrEnum):
    """How somebody who approves has seen the whole call."""

    CARD = "card"  # it stood on the card, whole
    PAGES = "pages"  # they opened every page of the review
    FORM = "form"  # they filled in a form that held it, whole


class OverrideKind(StrEnum):
    """How a person displaced an outcome."""

    CHANGED = "changed"  # approved with changes
    REVOKED = "revoked"  # an approval withdrawn before it was consumed
    REVERSED = "reversed"  # a denial or expiry undone, by a vote cast ahead
    REPORTED = "reported"  # a consumed approval declared wrong
    FORCED = "forced"  # admins decided past quorum or reviewers


class HaltEffect(StrEnum):
    """What happens to the calls that somebody stopped."""

    DENY = "deny"  # paused: denied at once, and no open approval is used
    ASK = "ask"  # a rule that approves by itself asks people


class HaltScope(StrEnum):
    """What somebody stopped."""

    AGENT = "agent"
    RULE = "rule"
    ALL = "all"


class Rank(StrEnum):
    """On what ground somebody could stop something, lowest first."""

    OWNER = "owner"
    REVIEWER = "reviewer"
    ADMIN = "admin"


class IntentKind(StrEnum):
    """What the outbox is asked to bring about."""

    POST_CARD = "post_card"  # first posting of one card
    DRAW_CARD = "draw_card"  # draw a posted card anew from the stored state
    POST_QUEUE = "post_queue"  # first posting of a queue card
    DRAW_QUEUE = "draw_queue"  # draw a posted queue card anew from the stored state
    TELL_OWNERS = "tell_owners"  # a DM to each owner of the request's agent
    TELL_ADMINS = "tell_admins"  # a DM to each admin
    TELL_REVIEWERS = "tell_reviewers"  # a DM to each who could have decided what admins forced
    NOTIFY = "notify"  # carry one target of a plan's step out
    POST_DIGEST = "post_digest"  # post a gathered notice of what a rule approved by itself
    DRAW_DIGEST = "draw_digest"  # draw a posted one anew: the rule was stopped, or approves by itself again
    END_PAGE = "end_page"  # tell a pager that what it was called for has ended
    DRAW_PAUSED = "draw_paused"  # find the cards that must show a pause, or show it no more, some at a time
    TELL_HALTED = "tell_halted"  # a DM to each whom it concerns that something was stopped, or goes on


class StepState(StrEnum):
    """What became of a step of a plan."""

    FIRED = "fired"
    SKIPPED = "skipped"  # outside its hours
    FAILED = "failed"  # none of its targets could be notified


class TargetState(StrEnum):
    """What became of one target of a step."""

    WAITING = "waiting"
    NOTIFIED = "notified"
    FAILED = "failed"  # for good
