"""How a command speaks: what fails in one readable sentence, and names that cannot play tricks on a terminal."""

import sys


class CommandFailed(Exception):
    """The command cannot be carried out; its text says why, and what would help."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def say(text: str) -> None:
    """Tell the operator something that is not the command's result."""
    print(text, file=sys.stderr)


def sentence_of(error: Exception) -> str | None:
    """Return what to tell the operator of an expected failure; None for one that nobody expected."""
    if isinstance(error, CommandFailed):
        return str(error)
    # Imported here: most commands never fail, and these are slow to come by.
    from bot.config import BadConfig

    if isinstance(error, BadConfig):
        return str(error)
    from bot.errors import Refusal
    from handlers.slack.trouble import SlackTrouble
    from store.unit import NewerSchema, OlderSchema, RestoredCopy, StoreUnavailable

    if isinstance(error, Refusal | StoreUnavailable | NewerSchema | OlderSchema | RestoredCopy):
        return str(error)
    if isinstance(error, SlackTrouble):
        return f"Slack refused {error.method}: {error.code}. `signoff check` says what would be right."
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"The system refused it: {error.strerror or error}{where}."
    return None


def shown(text: str) -> str:
    """A stored text as a terminal may have it: what cannot be printed is written out."""
    return "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in text)
