"""What Signoff refuses, each refusal a class named for it.

An error carries a stable snake_case ``code``; its docstring is the sentence a person reads unless a better one is
given. Nothing here knows HTTP or Slack: each of those translates in one place of its own.
"""

from datetime import timedelta

from store.tables import Request


class Refusal(Exception):
    """Signoff refuses."""

    code = "refused"

    def __init__(self, message: str | None = None, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message or " ".join((self.__doc__ or "").split()))
        self.param = param
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        return str(self)


# --- what an agent sent ---


class BadInput(Refusal):
    """The request is not what the protocol asks for."""

    code = "invalid_request"


class CallTooLarge(BadInput):
    """The call is larger than 64 KiB in canonical form."""

    code = "call_too_large"


class BadCredential(Refusal):
    """The credential is missing, unknown or revoked."""

    code = "invalid_credential"


class WrongCredential(Refusal):
    """This kind of credential may not do that."""

    code = "wrong_credential"


class UnknownRequest(Refusal):
    """There is no such request."""

    code = "request_not_found"


class UnknownInstance(Refusal):
    """There is no such instance among those that this provisioner made."""

    code = "instance_not_found"


class Conflict(Refusal):
    """The request is in another state."""

    code = "conflict"


class IdempotencyConflict(Conflict):
    """This Idempotency-Key was used for other fields."""

    code = "idempotency_conflict"


class InstanceDeleted(Conflict):
    """The instance that was made under this key was deleted. It is not made again."""

    code = "instance_deleted"


class AlreadyTerminal(Conflict):
    """The request is decided; it can no longer be cancelled."""

    code = "already_terminal"


class NotApproved(Conflict):
    """The request is not approved."""

    code = "not_approved"


class AlreadyConsumed(Conflict):
    """The approval was consumed before, under another key."""

    code = "already_consumed"


class ApprovalExpired(Conflict):
    """The approval's validity is over."""

    code = "approval_expired"


class ApprovalRevoked(Conflict):
    """A person withdrew the approval before it was consumed."""

    code = "approval_revoked"


class AgentPaused(Conflict):
    """A person paused this agent. Nothing is approved and no approval is used until it is resumed."""

    code = "agent_paused"


class CallAltered(Conflict):
    """The stored call is not the call that was approved. Nothing may run on it."""

    code = "call_altered"


class NotConsumed(Conflict):
    """The approval was not consumed, so there is no outcome to report."""

    code = "not_consumed"


class OutcomeConflict(Conflict):
    """Another outcome was reported before."""

    code = "outcome_conflict"


class Limited(Refusal):
    """This is too much for now. ``retry_after`` is when it is worth asking again."""

    code = "limited"

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


class RateLimited(Limited):
    """The agent makes more requests than its rate allows. Nothing was made of this one; try again later."""

    code = "rate_limited"


class TooManyPending(Limited):
    """Too many requests of the agent wait for people. Nothing was made of this one; try again later."""

    code = "too_many_pending"


# --- what a person did ---


class NotYourDecision(Refusal):
    """You may not decide this request. The code says on which ground (see ``bot.policy.judge``)."""

    code = "not_a_reviewer"


class NotSeenWhole(Refusal):
    """The card does not show the whole call. Open Review; approving is on its last page, after all the others."""

    code = "review_first"


class MoreIsAsked(Refusal):
    """Approving this takes more than one press. Open it anew; nothing was decided."""

    code = "more_is_asked"


class WrongPasscode(Refusal):
    """This passcode is wrong or was used before. Wait for the next one. Nothing was decided."""

    code = "wrong_passcode"


class PasscodeLocked(Refusal):
    """Passcodes of yours are locked after wrong ones in a row. Nothing was decided."""

    code = "passcode_locked"


class NotEnrolled(Refusal):
    """This takes a passcode, and you have no device for it yet. Nothing was decided. Ask whoever runs Signoff for an
    enrolment code, and type `/signoff enroll`."""

    code = "not_enrolled"


class SeedUnreadable(Refusal):
    """Your passcode cannot be checked: the seed cannot be read, because the secret key changed. Nothing was decided.
    Ask whoever runs Signoff for a new enrolment code."""

    code = "seed_unreadable"


class NotAMember(Refusal):
    """Only members of this workspace can have passcodes. The code says on which ground (see ``bot.policy.barred``)."""

    code = "not_a_member"


class UnfitStandIn(Refusal):
    """This person cannot stand in for you."""

    code = "unfit_stand_in"


class NotATime(Refusal):
    """That is no time that can be understood."""

    code = "not_a_time"


class NotAQuestion(Refusal):
    """That is no question that can be understood."""

    code = "not_a_question"


class WrongCode(Refusal):
    """This code is wrong, or no longer good: it is for you alone, once, for 15 minutes, and five wrong ones end it. Ask
    whoever runs Signoff for another."""

    code = "wrong_code"


class EnrolmentOver(Refusal):
    """The time to set this up is over, or too many passcodes were wrong. Nothing changed. Ask whoever runs Signoff for
    another enrolment code."""

    code = "enrolment_over"


class AlreadyVoted(Refusal):
    """You have approved this already. It waits for somebody else."""

    code = "already_voted"


class NothingToWithdraw(Refusal):
    """You have no vote here to withdraw."""

    code = "nothing_to_withdraw"


class NotAgain(Refusal):
    """You said before that you are on it. That counts once."""

    code = "not_again"


class ClosedChannel(Refusal):
    """This channel is shared with another company, and the rule does not allow that. Nobody decides in it."""

    code = "channel_shared"


class NothingChanged(Refusal):
    """These are the arguments as the agent sent them. Change one of them, or press Approve."""

    code = "nothing_changed"


class ChangeRefused(Refusal):
    """The call cannot be changed into this one. Nothing was decided."""

    code = "change_refused"


class NotRemembered(Refusal):
    """There is no denial to reopen: people did not deny this, or it was reopened before, or a day has passed."""

    code = "not_remembered"


class NoLongerOpen(Refusal):
    """The request can no longer be decided. ``request`` is its state, to be told to whoever was late."""

    code = "no_longer_open"

    def __init__(self, request: Request, message: str | None = None) -> None:
        super().__init__(message)
        self.request = request


class AlreadyDecided(NoLongerOpen):
    """The request was decided before."""

    code = "already_decided"


class TooLate(NoLongerOpen):
    """The deadline has passed; nothing can be approved or denied any more."""

    code = "too_late"


class NothingToOverride(NoLongerOpen):
    """There is nothing here that this would override."""

    code = "nothing_to_override"


class ApprovalTaken(NoLongerOpen):
    """The agent was faster: it has taken the approval, and this no longer stops the call. You can report it instead:
    the owners of the agent are told."""

    code = "approval_taken"


class AlreadyReported(Refusal):
    """You have reported this already. The owners of the agent were told."""

    code = "already_reported"


class AlreadyReversed(Refusal):
    """You have reversed this already. Your vote waits for the agent to send the same call again."""

    code = "already_reversed"


class NotYourVote(Refusal):
    """Only who cast that vote, and admins, can lift it."""

    code = "not_your_vote"


class NothingToLift(Refusal):
    """That vote does not wait for anything any more."""

    code = "nothing_to_lift"


class CannotReverse(Refusal):
    """This cannot be reversed. The code says on which ground."""

    code = "cannot_reverse"


class NotYourPause(Refusal):
    """You may not stop this, or let it go on. The code says on which ground (see ``bot.halts``)."""

    code = "not_a_reviewer"


class ReasonMissing(Refusal):
    """Say why, in words that can be seen. It is kept on record. Nothing changed."""

    code = "reason_missing"


class UnknownTarget(Refusal):
    """There is no such agent or rule."""

    code = "unknown_target"


class AlreadyHalted(Refusal):
    """It is stopped already."""

    code = "already_halted"


class NotHalted(Refusal):
    """Nobody has stopped it."""

    code = "not_halted"


class UnknownCard(Refusal):
    """This message is not a card that Signoff posted."""

    code = "unknown_card"


class FactsUnavailable(Refusal):
    """Slack could not be asked who may decide. Nothing was decided; try again."""

    code = "slack_unavailable"


# --- what an operator asked for ---


class OperatorError(Refusal):
    """That cannot be done."""

    code = "operator_error"
