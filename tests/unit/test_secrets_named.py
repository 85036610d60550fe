"""Secrets whose variables the configuration names: read at the start and with each changed file, and never shown."""

from pathlib import Path

import pytest

from bot.config import BadConfig, Fault, Settings, parse_settings
from bot.named_secrets import NamedSecrets, webhook_key
from bot.secrets import load_secrets

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
WHSEC = "whsec_" + "c2VjcmV0" * 4
FEED = "https://calendar.internal/secret-feed.ics?token=hidden"
HEARTBEAT = "https://watch.example.com/ping/hidden"
ENV = {"PAGER_KEY": ROUTING_KEY, "HOOK_SECRET": WHSEC, "FEED": FEED, "HEARTBEAT_URL": HEARTBEAT}
TABLES = """
[server]
public_url = "http://127.0.0.1:8080"
[store]
url = "sqlite:///signoff.db"
[admins]
users = ["U0ADMIN"]
[slack]
"""
NAMING = """
[pagers.main]
kind = "pagerduty"
secret_env = "PAGER_KEY"
[pagers.hook]
kind = "webhook"
url = "https://pager.internal/hook"
secret_env = "HOOK_SECRET"
[oncall.finance]
ical_env = "FEED"
[escalation]
heartbeat_env = "HEARTBEAT_URL"
"""
OWN = {"SLACK_BOT_TOKEN": "xoxb-1-bot", "SLACK_APP_TOKEN": "xapp-1-app", "SIGNOFF_SECRET_KEY": "k" * 32}


def settings_of(naming: str = NAMING) -> Settings:
    return parse_settings((TABLES + naming).encode(), {}, source="signoff.toml")


def faults(env: dict[str, str], naming: str = NAMING) -> tuple[Fault, ...]:
    with pytest.raises(BadConfig) as caught:
        NamedSecrets(env).read(settings_of(naming))
    return caught.value.faults


def test_all_that_the_file_names_are_read() -> None:
    named = NamedSecrets(ENV)
    named.read(settings_of())
    assert {name: named.get(name) for name in ENV} == ENV
    assert named.get("PATH") is None
    assert not [value for value in ENV.values() if value in repr(named) + str(named.__dict__["_values"])]


def test_each_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(ROUTING_KEY + "\n")
    named = NamedSecrets({**ENV, "PAGER_KEY_FILE": str(tmp_path / "key")})
    with pytest.raises(BadConfig):  # both at once
        named.read(settings_of())
    env = {name: value for name, value in ENV.items() if name != "PAGER_KEY"}
    named = NamedSecrets({**env, "PAGER_KEY_FILE": str(tmp_path / "key")})
    named.read(settings_of())
    assert named.get("PAGER_KEY") == ROUTING_KEY


def test_they_are_told_with_all_other_faults() -> None:
    with pytest.raises(BadConfig) as caught:
        load_secrets({}, settings_of(), create_key=False)
    assert [fault.key_path for fault in caught.value.faults] == [
        "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "PAGER_KEY", "HOOK_SECRET", "FEED", "HEARTBEAT_URL", "SIGNOFF_SECRET_KEY",
    ]  # fmt: skip
    assert load_secrets({**OWN, **ENV}, settings_of(), create_key=False).named.get("PAGER_KEY") == ROUTING_KEY


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PAGER_KEY", "hidden"),
        ("PAGER_KEY", "hidden hidden hidden hidden"),
        ("PAGER_KEY", f'"hidden{ROUTING_KEY}"'),
        ("PAGER_KEY", "whsec_hidden0123456789abcdef0123456789"),
        ("HOOK_SECRET", f"hidden{ROUTING_KEY}"),
        ("HOOK_SECRET", "whsec_hidden"),
        ("HOOK_SECRET", "whsec_" + "aGlkZGVu" * 20),
        ("HOOK_SECRET", "whsec_hidden!" + "c2VjcmV0" * 4),
        ("FEED", "http://hidden.internal/feed.ics"),
        ("FEED", "/etc/hidden.ics"),
        ("HEARTBEAT_URL", "https://user:hidden@watch.example.com/"),
        ("HEARTBEAT_URL", "hidden.example.com/ping"),
    ],
)
def test_what_is_no_such_secret_is_a_fault_that_does_not_show_it(variable: str, value: str) -> None:
    (fault,) = faults({**ENV, variable: value})
    assert fault.key_path == variable
    assert "hidden" not in str(fault)
    assert fault.remedy


def test_a_missing_one_is_told_with_what_names_it() -> None:
    (fault,) = faults({**ENV, "HEARTBEAT_URL": ""})
    assert (fault.key_path, fault.problem) == ("HEARTBEAT_URL", "is set but empty")
    (fault,) = faults({name: value for name, value in ENV.items() if name != "PAGER_KEY"})
    assert (fault.key_path, fault.problem) == ("PAGER_KEY", "is not set, and pagers.main.secret_env names it")
    assert "PAGER_KEY_FILE" in fault.remedy


@pytest.mark.parametrize("own", ["SIGNOFF_SECRET_KEY", "SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN_FILE"])
def test_no_secret_of_our_own_goes_to_a_pager(own: str) -> None:
    (fault,) = faults({**ENV, **OWN, own: ROUTING_KEY}, NAMING.replace('"PAGER_KEY"', f'"{own}"'))
    assert fault.key_path == own
    assert "Signoff's own" in fault.problem


def test_a_file_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(ROUTING_KEY)
    env = {name: value for name, value in ENV.items() if name != "PAGER_KEY"}
    named = NamedSecrets({**env, "PAGER_KEY_FILE": str(key)})
    named.read(settings_of())
    key.write_text("f" * 32)
    with pytest.raises(BadConfig):
        named.read(settings_of(NAMING.replace("HOOK_SECRET", "ANOTHER")))
    assert named.get("PAGER_KEY") == ROUTING_KEY
    named.read(settings_of())
    assert named.get("PAGER_KEY") == "f" * 32


def test_a_webhooks_key_is_what_its_secret_says() -> None:
    assert webhook_key(WHSEC) == b"secret" * 4
    assert webhook_key("whsec_" + "c2VjcmV0" * 3) is None


@pytest.mark.parametrize(
    ("naming", "words"),
    [
        ('[pagers.x]\nkind = "webhook"\nsecret_env = "X"', "is missing"),
        ('[pagers.x]\nkind = "webhook"\nurl = "http://pager.internal/"\nsecret_env = "X"', "plain http"),
        ('[pagers.x]\nkind = "pagerduty"\nsecret_env = "whsec_hidden"', "name of a variable"),
        ('[escalation]\nheartbeat_env = "https://watch.example.com/ping/hidden"', "name of a variable"),
    ],
)
def test_tables_that_name_secrets_wrongly(naming: str, words: str) -> None:
    with pytest.raises(BadConfig) as caught:
        settings_of(naming)
    assert words in str(caught.value)
    assert "hidden" not in str(caught.value)
