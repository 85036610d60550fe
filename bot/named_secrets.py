"""The secrets that the configuration names: pagers' keys and secret addresses. Their values are in the environment."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from bot.addresses import BadAddress, parse_operator_destination
from bot.config import Settings
from bot.config_faults import BadConfig
from bot.config_plans import feed_address
from bot.secret_reader import SOURCE, Form, Reader

WEBHOOK_PREFIX = "whsec_"
_ROUTING_KEY = re.compile(r"[A-Za-z0-9_-]{16,100}")


class NamedSecrets:
    """The values of the variables that the configuration names: pagers' secrets, secret addresses.

    Unlike the others they are read again with each changed file, so that it may name new ones. Its repr shows nothing.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._values: Mapping[str, SecretStr] = {}

    def read(self, settings: Settings) -> None:
        """Read all that ``settings`` name. Raises BadConfig with all faults; then nothing has changed."""
        reader = Reader(self._env)
        values: dict[str, SecretStr] = {}
        for variable, where, form in _named_in(settings):
            value = reader.named(variable, where, form)
            if value is not None:
                values[variable] = value
        if reader.faults:
            raise BadConfig(SOURCE, dict.fromkeys(reader.faults))
        # What a file before named is kept: should this one be refused after all, that one goes on needing it.
        self._values = {**self._values, **values}

    def get(self, variable: str) -> str | None:
        """The value of a variable that was read."""
        value = self._values.get(variable)
        return None if value is None else value.get_secret_value()


def _is_routing_key(value: str) -> bool:
    return _ROUTING_KEY.fullmatch(value) is not None and not value.startswith(WEBHOOK_PREFIX)


def _is_webhook_secret(value: str) -> bool:
    return webhook_key(value) is not None


def _is_address(value: str) -> bool:
    try:
        parse_operator_destination(value)
    except BadAddress:
        return False
    return True


def webhook_key(secret: str) -> bytes | None:
    """The key in a secret as Standard Webhooks writes it, whsec_ and 24 to 64 bytes in base64; None if it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(WEBHOOK_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if secret.startswith(WEBHOOK_PREFIX) and 24 <= len(key) <= 64 else None


_PAGER_FORMS = {
    "pagerduty": Form(_is_routing_key, "the integration key of a service's Events API v2 integration"),
    "webhook": Form(_is_webhook_secret, f"{WEBHOOK_PREFIX} and 24 to 64 random bytes in base64"),
}
_FEED = Form(
    lambda value: _is_address(feed_address(value)), "the address of an iCalendar feed, https without user and fragment"
)
_ADDRESS = Form(_is_address, "an https address, without user and fragment")


def _named_in(settings: Settings) -> Iterator[tuple[str, str, Form]]:
    """Each variable that settings name, where they do, and what it must hold."""
    for pager in settings.pagers.values():
        yield pager.secret_env, f"pagers.{pager.name}.secret_env", _PAGER_FORMS[pager.kind]
    for oncall in settings.oncall.values():
        if oncall.ical_env is not None:
            yield oncall.ical_env, f"oncall.{oncall.name}.ical_env", _FEED
    if settings.escalation.heartbeat_env is not None:
        yield settings.escalation.heartbeat_env, "escalation.heartbeat_env", _ADDRESS
