"""Secrets, from the environment or from files that it names. They never stand in the configuration file.

Each variable may be replaced by the same name with `_FILE`, which names a file that holds the value (a line break at
its end does not count). Whatever is wrong is reported at once as BadConfig, its key paths being variables. No value
ever enters a fault, an exception, a repr or a log. Reading and making the key file is the only I/O in here.
"""

import base64
import binascii
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from bot.addresses import BadAddress, parse_operator_destination
from bot.config import Settings, StoreSettings
from bot.config_faults import BadConfig, Fault
from bot.config_plans import feed_address

BOT_TOKEN = "SLACK_BOT_TOKEN"  # noqa: S105 (the variable's name)
APP_TOKEN = "SLACK_APP_TOKEN"  # noqa: S105 (the variable's name)
SIGNING_SECRET = "SLACK_SIGNING_SECRET"  # noqa: S105 (the variable's name)
SECRET_KEY = "SIGNOFF_SECRET_KEY"  # noqa: S105 (the variable's name)
METRICS_TOKEN = "SIGNOFF_METRICS_TOKEN"  # noqa: S105 (the variable's name)
VARIABLES = (BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, SECRET_KEY, METRICS_TOKEN)

LEAST_KEY_BYTES = 32
WEBHOOK_PREFIX = "whsec_"
_ROUTING_KEY = re.compile(r"[A-Za-z0-9_-]{16,100}")
_LONGEST_FILE_BYTES = 64 * 1024
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
_SOURCE = "secrets"

_WHERE_FROM = {
    BOT_TOKEN: "the bot token (xoxb-…) is on the Slack app's page under OAuth & Permissions",
    APP_TOKEN: "the app-level token (xapp-…, scope connections:write) is made on the Slack app's page "
    "under Basic Information",
    SIGNING_SECRET: "the signing secret is on the Slack app's page under Basic Information",
}
_TOKEN_KINDS = {"xoxb-": "a bot token", "xapp-": "an app-level token", "xoxp-": "a user's token"}


@dataclass(frozen=True, slots=True)
class Secrets:
    """What this process must keep to itself. Its repr shows none of it."""

    slack_bot_token: SecretStr
    slack_app_token: SecretStr | None
    """In socket mode only."""
    slack_signing_secret: SecretStr | None
    """In http mode only."""
    secret_key: bytes = field(repr=False)
    """Keys HMACs and encryption; at least 32 bytes."""
    metrics_token: SecretStr | None = None
    key_created: Path | None = None
    """The key file, if it was made just now: to be said to the operator, who must keep it."""
    named: "NamedSecrets" = field(default_factory=lambda: NamedSecrets({}))


class SecretKey(NamedTuple):
    """The key alone, for commands that never speak to Slack."""

    value: SecretStr
    created: Path | None

    def as_bytes(self) -> bytes:
        """The key as HMACs take it."""
        return _key_bytes(self.value.get_secret_value())


def load_secrets(env: Mapping[str, str], settings: Settings, *, create_key: bool) -> Secrets:
    """All secrets that these settings need. Raises BadConfig with all faults.

    With `create_key`, and SQLite, a missing SIGNOFF_SECRET_KEY is made beside the database, once nothing else is
    wrong; without it a missing key is a fault.
    """
    reader = _Reader(env)
    socket = settings.slack.mode == "socket"
    bot_token = reader.token(BOT_TOKEN, "xoxb-")
    app_token = reader.token(APP_TOKEN, "xapp-") if socket else None
    signing_secret = None if socket else reader.token(SIGNING_SECRET)
    metrics_token = reader.token(METRICS_TOKEN, required=False)
    named = NamedSecrets(env)
    try:
        named.read(settings)
    except BadConfig as bad:
        reader.faults += bad.faults
    key = reader.key(settings.store, create=create_key)
    if reader.faults or bot_token is None or key is None:
        raise BadConfig(_SOURCE, reader.faults)
    return Secrets(
        slack_bot_token=bot_token,
        slack_app_token=app_token,
        slack_signing_secret=signing_secret,
        secret_key=key.as_bytes(),
        metrics_token=metrics_token,
        key_created=key.created,
        named=named,
    )


class NamedSecrets:
    """The values of the variables that the configuration names: pagers' secrets, secret addresses.

    Unlike the others they are read again with each changed file, so that it may name new ones. Its repr shows nothing.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._values: Mapping[str, SecretStr] = {}

    def read(self, settings: Settings) -> None:
        """Read all that ``settings`` name. Raises BadConfig with all faults; then nothing has changed."""
        reader = _Reader(self._env)
        values: dict[str, SecretStr] = {}
        for variable, where, form in _named_in(settings):
            value = reader.named(variable, where, form)
            if value is not None:
                values[variable] = value
        if reader.faults:
            raise BadConfig(_SOURCE, dict.fromkeys(reader.faults))
        # What a file before named is kept: should this one be refused after all, that one goes on needing it.
        self._values = {**self._values, **values}

    def get(self, variable: str) -> str | None:
        """The value of a variable that was read."""
        value = self._values.get(variable)
        return None if value is None else value.get_secret_value()


class _Form(NamedTuple):
    """What the value of a named variable must look like, and the words for it."""

    fits: Callable[[str], bool]
    words: str


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
    "pagerduty": _Form(_is_routing_key, "the integration key of a service's Events API v2 integration"),
    "webhook": _Form(_is_webhook_secret, f"{WEBHOOK_PREFIX} and 24 to 64 random bytes in base64"),
}
_FEED = _Form(
    lambda value: _is_address(feed_address(value)), "the address of an iCalendar feed, https without user and fragment"
)
_ADDRESS = _Form(_is_address, "an https address, without user and fragment")


def _named_in(settings: Settings) -> Iterator[tuple[str, str, _Form]]:
    """Each variable that settings name, where they do, and what it must hold."""
    for pager in settings.pagers.values():
        yield pager.secret_env, f"pagers.{pager.name}.secret_env", _PAGER_FORMS[pager.kind]
    for oncall in settings.oncall.values():
        if oncall.ical_env is not None:
            yield oncall.ical_env, f"oncall.{oncall.name}.ical_env", _FEED
    if settings.escalation.heartbeat_env is not None:
        yield settings.escalation.heartbeat_env, "escalation.heartbeat_env", _ADDRESS


def load_bot_token(env: Mapping[str, str]) -> SecretStr | None:
    """SLACK_BOT_TOKEN alone; None if it is not in the environment. Raises BadConfig for one that is no token."""
    reader = _Reader(env)
    token = reader.token(BOT_TOKEN, "xoxb-", required=False)
    if reader.faults:
        raise BadConfig(_SOURCE, reader.faults)
    return token


def load_secret_key(env: Mapping[str, str], store: StoreSettings, *, create_key: bool) -> SecretKey:
    """SIGNOFF_SECRET_KEY alone, as `load_secrets` finds or makes it. Raises BadConfig."""
    reader = _Reader(env)
    key = reader.key(store, create=create_key)
    if key is None:
        raise BadConfig(_SOURCE, reader.faults)
    return key


def key_file(store: StoreSettings) -> Path | None:
    """Where the key is made if none is given: `<database file>.key`; None for PostgreSQL."""
    database = store.sqlite_path
    return None if database is None else database.with_name(database.name + ".key")


def _key_bytes(text: str) -> bytes:
    # A variable's bytes that are not UTF-8 reach Python as lone surrogates; the key is the bytes.
    return text.encode("utf-8", "surrogateescape")


class _Reader:
    """Reads variable after variable and goes on after a fault."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.faults: list[Fault] = []
        self._env = env

    def token(self, name: str, prefix: str = "", *, required: bool = True) -> SecretStr | None:
        """A Slack token, a signing secret or a bearer token: visible ASCII, with its prefix."""
        before = len(self.faults)
        value = self._value(name)
        if value is None:
            if required and len(self.faults) == before:
                self._fault(name, "is not set", f"{_WHERE_FROM[name]}; set {name}, or {name}_FILE to a file with it")
            return None
        if not (value.isascii() and value.isprintable()) or " " in value:
            self._fault(name, "has spaces or characters that no token has", "copy it again, without quotes")
            return None
        kind = next((kind for start, kind in _TOKEN_KINDS.items() if value.startswith(start)), None)
        if prefix and not value.startswith(prefix):
            problem = f"is {kind}, not {_TOKEN_KINDS[prefix]}" if kind else f"does not begin with {prefix}"
            self._fault(name, problem, self._swapped() or _WHERE_FROM[name])
            return None
        if not prefix and kind:
            self._fault(name, f"is {kind} of Slack's", _WHERE_FROM.get(name, "make one: openssl rand -hex 32"))
            return None
        return SecretStr(value)

    def named(self, name: str, where: str, form: _Form) -> SecretStr | None:
        """A variable that the key path ``where`` of the file names."""
        if name.removesuffix("_FILE") in VARIABLES:
            self._fault(name, f"is named by {where}, and holds a secret of Signoff's own", "name another variable")
            return None
        before = len(self.faults)
        value = self._value(name)
        if value is None:
            if len(self.faults) == before:
                remedy = f"it holds {form.words}; set {name}, or {name}_FILE to a file with it"
                self._fault(name, f"is not set, and {where} names it", remedy)
            return None
        if not form.fits(value):
            self._fault(name, f"does not hold what {where} needs", f"let it hold {form.words}, without quotes")
            return None
        return SecretStr(value)

    def key(self, store: StoreSettings, *, create: bool) -> SecretKey | None:
        """SIGNOFF_SECRET_KEY, or the key file beside a SQLite database, which `create` allows to make."""
        before = len(self.faults)
        value = self._value(SECRET_KEY)
        if value is not None:
            return self._long_enough(SECRET_KEY, value)
        if len(self.faults) > before:
            return None
        path = key_file(store)
        if path is None:
            self._fault(SECRET_KEY, "is not set", "with PostgreSQL it is required; make one: openssl rand -hex 32")
            return None
        if os.path.lexists(path):
            return self._key_in(path)
        if not create:
            self._fault(
                SECRET_KEY,
                f"is not set, and there is no {path}",
                "`signoff serve` makes that file at its first start; or set the variable (openssl rand -hex 32)",
            )
            return None
        # Made last and only if all else is right: else the start that says "made" would be one that failed.
        return None if self.faults else self._make_key(path)

    def _fault(self, name: str, problem: str, remedy: str) -> None:
        self.faults.append(Fault(name, problem, remedy))

    def _swapped(self) -> str | None:
        swapped = self._env.get(BOT_TOKEN, "").startswith("xapp-") and self._env.get(APP_TOKEN, "").startswith("xoxb-")
        return f"{BOT_TOKEN} and {APP_TOKEN} are swapped: exchange them" if swapped else None

    def _value(self, name: str) -> str | None:
        """The variable's value or its file's; None if absent, and if a fault was noted."""
        value, file = self._env.get(name), self._env.get(f"{name}_FILE")
        if value is not None and file is not None:
            self._fault(name, f"is set, and {name}_FILE too", "keep one of the two")
            return None
        if file is not None:
            return self._in_file(f"{name}_FILE", file)
        if value == "":
            self._fault(name, "is set but empty", "give it its value, or remove it from the environment")
            return None
        return value

    def _in_file(self, name: str, file: str) -> str | None:
        if not file:
            self._fault(name, "is set but empty", "let it name a file, or remove it from the environment")
            return None
        try:
            with Path(file).open("rb") as opened:
                content = opened.read(_LONGEST_FILE_BYTES + 1)
        except PermissionError:
            self._fault(name, f"names {file}, which this user may not read", "correct the file's rights")
            return None
        except (OSError, ValueError):
            # Not shown: if there is no such file, this may be the secret itself, put into the wrong variable.
            self._fault(name, "names no file that can be read", "let it hold a path, not the secret itself")
            return None
        try:
            text = content.decode().rstrip("\r\n")
        except ValueError:
            self._fault(name, f"names {file}, which is not text in UTF-8", "let it hold the secret alone")
            return None
        if not text or len(content) > _LONGEST_FILE_BYTES:
            problem = "longer than 64 KiB" if text else "empty"
            self._fault(name, f"names {file}, which is {problem}", "let it hold the secret alone")
            return None
        return text

    def _long_enough(self, name: str, text: str) -> SecretKey | None:
        if len(_key_bytes(text)) < LEAST_KEY_BYTES:
            self._fault(name, f"is shorter than {LEAST_KEY_BYTES} bytes", "make one that is not: openssl rand -hex 32")
            return None
        return SecretKey(SecretStr(text), None)

    def _key_in(self, path: Path) -> SecretKey | None:
        """The key in a key file that exists. One that others may read is not a secret any more."""
        try:
            with path.open("rb") as opened:
                mode = os.fstat(opened.fileno()).st_mode
                content = opened.read(_LONGEST_FILE_BYTES)
        except OSError as error:
            self._fault(
                SECRET_KEY,
                f"is not set, and {path} cannot be read ({error.strerror})",
                "let the user that runs Signoff own that file, or set the variable",
            )
            return None
        if mode & _OTHERS_MAY:
            self._fault(
                SECRET_KEY,
                f"is not set, and other users may read or change {path} (mode {stat.S_IMODE(mode):04o})",
                f"chmod 600 {path}",
            )
            return None
        text = content.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if len(_key_bytes(text)) < LEAST_KEY_BYTES:
            self._fault(
                SECRET_KEY,
                f"is not set, and {path} holds less than {LEAST_KEY_BYTES} bytes",
                "bring that file back from a backup; without a backup, remove it and start again for a new key",
            )
            return None
        return SecretKey(SecretStr(text), None)

    def _make_key(self, path: Path) -> SecretKey | None:
        text = secrets.token_urlsafe(48)
        try:
            made = _write_once(path, text)
        except OSError as error:
            self._fault(
                SECRET_KEY,
                f"is not set, and {path} cannot be made ({error.strerror})",
                "make its folder, writable for the user that runs Signoff, or set the variable (openssl rand -hex 32)",
            )
            return None
        return SecretKey(SecretStr(text), path) if made else self._key_in(path)


def _write_once(path: Path, text: str) -> bool:
    """Writes a file of mode 0600 that is there whole or not at all; False if another process was first."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(text + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        try:
            # A link, unlike a rename, never replaces: of two processes one makes the key and both use it.
            os.link(name, path)
        except FileExistsError:
            return False
    finally:
        os.unlink(name)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
