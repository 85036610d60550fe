"""Reads secrets from environment variables, and from files that these name; finds or makes the key file.

Each variable may be replaced by the same name with `_FILE`, which names a file that holds the value (a line break at
its end does not count). What is wrong is noted, and reading goes on. No value ever enters a fault. Reading secrets and
making the key file is the only I/O in here; which secrets there must be, ``bot.secrets`` says.
"""

import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from bot.config import StoreSettings
from bot.config_faults import Fault

BOT_TOKEN = "SLACK_BOT_TOKEN"  # noqa: S105 (the variable's name)
APP_TOKEN = "SLACK_APP_TOKEN"  # noqa: S105 (the variable's name)
SIGNING_SECRET = "SLACK_SIGNING_SECRET"  # noqa: S105 (the variable's name)
SECRET_KEY = "SIGNOFF_SECRET_KEY"  # noqa: S105 (the variable's name)
METRICS_TOKEN = "SIGNOFF_METRICS_TOKEN"  # noqa: S105 (the variable's name)
VARIABLES = (BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, SECRET_KEY, METRICS_TOKEN)

LEAST_KEY_BYTES = 32
SOURCE = "secrets"
"""What faults of secrets are faults of."""
_LONGEST_FILE_BYTES = 64 * 1024
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO

_WHERE_FROM = {
    BOT_TOKEN: "the bot token (xoxb-…) is on the Slack app's page under OAuth & Permissions",
    APP_TOKEN: "the app-level token (xapp-…, scope connections:write) is made on the Slack app's page "
    "under Basic Information",
    SIGNING_SECRET: "the signing secret is on the Slack app's page under Basic Information",
}
_TOKEN_KINDS = {"xoxb-": "a bot token", "xapp-": "an app-level token", "xoxp-": "a user's token"}


class SecretKey(NamedTuple):
    """The key alone, for commands that never speak to Slack."""

    value: SecretStr
    created: Path | None

    def as_bytes(self) -> bytes:
        """The key as HMACs take it."""
        return _key_bytes(self.value.get_secret_value())


class Form(NamedTuple):
    """What the value of a named variable must look like, and the words for it."""

    fits: Callable[[str], bool]
    words: str


def key_file(store: StoreSettings) -> Path | None:
    """Where the key is made if none is given: `<database file>.key`; None for PostgreSQL."""
    database = store.sqlite_path
    return None if database is None else database.with_name(database.name + ".key")


def _key_bytes(text: str) -> bytes:
    # A variable's bytes that are not UTF-8 reach Python as lone surrogates; the key is the bytes.
    return text.encode("utf-8", "surrogateescape")


class Reader:
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

    def named(self, name: str, where: str, form: Form) -> SecretStr | None:
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
