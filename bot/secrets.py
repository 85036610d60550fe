"""The secrets that this process needs, as one value. They never stand in the configuration file.

Whatever is wrong is reported at once as BadConfig, its key paths being variables. No value ever enters a fault, an
exception, a repr or a log. How a variable or a file is read is in ``bot.secret_reader``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from bot.config import Settings, StoreSettings
from bot.config_faults import BadConfig
from bot.named_secrets import NamedSecrets
from bot.secret_reader import APP_TOKEN, BOT_TOKEN, METRICS_TOKEN, SIGNING_SECRET, SOURCE, Reader, SecretKey


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
    named: NamedSecrets = field(default_factory=lambda: NamedSecrets({}))


def load_secrets(env: Mapping[str, str], settings: Settings, *, create_key: bool) -> Secrets:
    """All secrets that these settings need. Raises BadConfig with all faults.

    With `create_key`, and SQLite, a missing SIGNOFF_SECRET_KEY is made beside the database, once nothing else is
    wrong; without it a missing key is a fault.
    """
    reader = Reader(env)
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
        raise BadConfig(SOURCE, reader.faults)
    return Secrets(
        slack_bot_token=bot_token,
        slack_app_token=app_token,
        slack_signing_secret=signing_secret,
        secret_key=key.as_bytes(),
        metrics_token=metrics_token,
        key_created=key.created,
        named=named,
    )


def load_bot_token(env: Mapping[str, str]) -> SecretStr | None:
    """SLACK_BOT_TOKEN alone; None if it is not in the environment. Raises BadConfig for one that is no token."""
    reader = Reader(env)
    token = reader.token(BOT_TOKEN, "xoxb-", required=False)
    if reader.faults:
        raise BadConfig(SOURCE, reader.faults)
    return token


def load_secret_key(env: Mapping[str, str], store: StoreSettings, *, create_key: bool) -> SecretKey:
    """SIGNOFF_SECRET_KEY alone, as `load_secrets` finds or makes it. Raises BadConfig."""
    reader = Reader(env)
    key = reader.key(store, create=create_key)
    if key is None:
        raise BadConfig(SOURCE, reader.faults)
    return key
