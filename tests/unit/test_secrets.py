"""Secrets come from the environment or from files, all faults at once, and show up nowhere."""

import dataclasses
import os
import stat
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from bot.config import BadConfig, Fault, Settings, SlackSettings, StoreSettings, parse_settings
from bot.secret_reader import key_file
from bot.secrets import Secrets, load_secret_key, load_secrets

KEY = "0123456789abcdef0123456789abcdef"
SOCKET = {"SLACK_BOT_TOKEN": "xoxb-1-bot", "SLACK_APP_TOKEN": "xapp-1-app", "SIGNOFF_SECRET_KEY": KEY}
HTTP = {"SLACK_BOT_TOKEN": "xoxb-1-bot", "SLACK_SIGNING_SECRET": "0a1b2c", "SIGNOFF_SECRET_KEY": KEY}


def settings_for(database: Path, mode: str = "socket") -> Settings:
    text = (
        f'[server]\npublic_url = "http://127.0.0.1:8080"\n[slack]\nmode = "{mode}"\n'
        f'[store]\nurl = "sqlite:///{database}"\n[admins]\nusers = ["U0ADMIN"]\n'
    )
    return parse_settings(text.encode(), {}, source="signoff.toml")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "signoff.db")


@pytest.fixture
def http_settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "signoff.db", "http")


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    return tmp_path / "signoff.db.key"


def faults(env: Mapping[str, str], settings: Settings, *, create_key: bool = False) -> tuple[Fault, ...]:
    with pytest.raises(BadConfig) as caught:
        load_secrets(env, settings, create_key=create_key)
    return caught.value.faults


def only_fault(env: Mapping[str, str], settings: Settings, *, create_key: bool = False) -> Fault:
    (fault,) = faults(env, settings, create_key=create_key)
    return fault


def revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def test_socket_mode_takes_the_app_token(settings: Settings) -> None:
    secrets = load_secrets({**SOCKET, "SLACK_SIGNING_SECRET": ""}, settings, create_key=False)
    assert revealed(secrets.slack_bot_token) == "xoxb-1-bot"
    assert revealed(secrets.slack_app_token) == "xapp-1-app"
    assert secrets.slack_signing_secret is None
    assert secrets.metrics_token is None
    assert secrets.secret_key == KEY.encode()
    assert secrets.key_created is None


def test_http_mode_takes_the_signing_secret(http_settings: Settings) -> None:
    env = {**HTTP, "SLACK_APP_TOKEN": "", "SIGNOFF_METRICS_TOKEN": "metrics"}
    secrets = load_secrets(env, http_settings, create_key=False)
    assert revealed(secrets.slack_signing_secret) == "0a1b2c"
    assert secrets.slack_app_token is None
    assert revealed(secrets.metrics_token) == "metrics"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_each_may_come_from_a_file(tmp_path: Path, settings: Settings, ending: str) -> None:
    env = {}
    for name, value in {**SOCKET, "SIGNOFF_METRICS_TOKEN": "metrics"}.items():
        (tmp_path / name).write_bytes((value + ending).encode())
        env[f"{name}_FILE"] = str(tmp_path / name)
    secrets = load_secrets(env, settings, create_key=False)
    assert revealed(secrets.slack_bot_token) == "xoxb-1-bot"
    assert revealed(secrets.slack_app_token) == "xapp-1-app"
    assert revealed(secrets.metrics_token) == "metrics"
    assert secrets.secret_key == KEY.encode()


def test_all_that_is_missing_is_told_at_once(settings: Settings, http_settings: Settings) -> None:
    assert [f.key_path for f in faults({}, settings)] == ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SIGNOFF_SECRET_KEY"]
    assert [f.key_path for f in faults({}, http_settings)] == [
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
        "SIGNOFF_SECRET_KEY",
    ]


@pytest.mark.parametrize(
    ("env", "name", "words"),
    [
        ({"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN", "is set but empty"),
        ({"SLACK_BOT_TOKEN": "xoxp-hidden"}, "SLACK_BOT_TOKEN", "a user's token, not a bot token"),
        ({"SLACK_BOT_TOKEN": "hidden"}, "SLACK_BOT_TOKEN", "does not begin with xoxb-"),
        ({"SLACK_BOT_TOKEN": '"xoxb-hidden"'}, "SLACK_BOT_TOKEN", "does not begin with xoxb-"),
        ({"SLACK_BOT_TOKEN": "xoxb-hidden "}, "SLACK_BOT_TOKEN", "spaces"),
        ({"SLACK_BOT_TOKEN": "xoxb-hidden\n"}, "SLACK_BOT_TOKEN", "characters that no token has"),
        ({"SLACK_BOT_TOKEN": "xoxb-hiddén"}, "SLACK_BOT_TOKEN", "characters that no token has"),
        ({"SLACK_APP_TOKEN": "xoxb-hidden"}, "SLACK_APP_TOKEN", "a bot token, not an app-level token"),
        ({"SIGNOFF_SECRET_KEY": ""}, "SIGNOFF_SECRET_KEY", "is set but empty"),
        ({"SIGNOFF_SECRET_KEY": "hidden" + "x" * 25}, "SIGNOFF_SECRET_KEY", "shorter than 32 bytes"),
        ({"SIGNOFF_METRICS_TOKEN": ""}, "SIGNOFF_METRICS_TOKEN", "is set but empty"),
        ({"SIGNOFF_METRICS_TOKEN": "hidden hidden"}, "SIGNOFF_METRICS_TOKEN", "spaces"),
        ({"SIGNOFF_METRICS_TOKEN": "xoxb-hidden"}, "SIGNOFF_METRICS_TOKEN", "a bot token of Slack's"),
        ({"SLACK_BOT_TOKEN_FILE": "x"}, "SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN_FILE too"),
    ],
)
def test_one_wrong_secret_is_one_fault_that_does_not_show_it(
    settings: Settings, env: dict[str, str], name: str, words: str
) -> None:
    fault = only_fault({**SOCKET, **env}, settings)
    assert fault.key_path == name
    assert words in fault.problem
    assert "hidd" not in str(fault)


def test_a_signing_secret_that_is_a_token(http_settings: Settings) -> None:
    fault = only_fault({**HTTP, "SLACK_SIGNING_SECRET": "xapp-1-hidden"}, http_settings)
    assert fault.key_path == "SLACK_SIGNING_SECRET"
    assert "app-level token" in fault.problem


def test_swapped_tokens_are_recognised(settings: Settings) -> None:
    env = {**SOCKET, "SLACK_BOT_TOKEN": "xapp-1-app", "SLACK_APP_TOKEN": "xoxb-1-bot"}
    for fault in faults(env, settings):
        assert fault.remedy == "SLACK_BOT_TOKEN and SLACK_APP_TOKEN are swapped: exchange them"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"xoxb-\xff", "not text in UTF-8"),
        (b"x" * 70_000, "longer than 64 KiB"),
    ],
)
def test_files_that_hold_no_secret(tmp_path: Path, settings: Settings, content: bytes, words: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    env = {name: value for name, value in SOCKET.items() if name != "SLACK_BOT_TOKEN"}
    fault = only_fault({**env, "SLACK_BOT_TOKEN_FILE": str(path)}, settings)
    assert fault.key_path == "SLACK_BOT_TOKEN_FILE"
    assert words in fault.problem
    assert str(path) in fault.problem


@pytest.mark.parametrize("named", ["", ".", "none/such", "hidden" * 2000, "hid\0den"])
def test_what_names_no_file_is_not_shown_as_it_may_be_the_secret(settings: Settings, named: str) -> None:
    env = {name: value for name, value in SOCKET.items() if name != "SIGNOFF_SECRET_KEY"}
    fault = only_fault({**env, "SIGNOFF_SECRET_KEY_FILE": named}, settings, create_key=True)
    assert fault.key_path == "SIGNOFF_SECRET_KEY_FILE"
    assert "hid" not in str(fault)
    assert "none/such" not in str(fault)


def test_a_key_in_any_bytes(settings: Settings) -> None:
    raw = b"\xff" * 32
    secrets = load_secrets(
        {**SOCKET, "SIGNOFF_SECRET_KEY": raw.decode("utf-8", "surrogateescape")}, settings, create_key=False
    )
    assert secrets.secret_key == raw


# The key file beside the database

NO_KEY = {name: value for name, value in SOCKET.items() if name != "SIGNOFF_SECRET_KEY"}


def test_a_missing_key_is_made_once_beside_the_database(settings: Settings, key_path: Path) -> None:
    first = load_secrets(NO_KEY, settings, create_key=True)
    assert first.key_created == key_path
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    assert len(first.secret_key) >= 32
    again = load_secrets(NO_KEY, settings, create_key=True)
    assert again.secret_key == first.secret_key
    assert again.key_created is None
    assert os.listdir(key_path.parent) == [key_path.name]


def test_the_key_file_may_be_named_by_the_variable(settings: Settings, key_path: Path) -> None:
    made = load_secrets(NO_KEY, settings, create_key=True)
    named = load_secrets({**NO_KEY, "SIGNOFF_SECRET_KEY_FILE": str(key_path)}, settings, create_key=False)
    assert named.secret_key == made.secret_key


def test_two_databases_have_two_keys(tmp_path: Path) -> None:
    keys = {
        load_secrets(NO_KEY, settings_for(tmp_path / name), create_key=True).secret_key for name in ("a.db", "b.db")
    }
    assert len(keys) == 2


def test_no_key_is_made_unless_asked(settings: Settings, key_path: Path) -> None:
    fault = only_fault(NO_KEY, settings, create_key=False)
    assert fault.key_path == "SIGNOFF_SECRET_KEY"
    assert "signoff serve" in fault.remedy
    assert not key_path.exists()


def test_no_key_is_made_while_something_else_is_wrong(settings: Settings, key_path: Path) -> None:
    fault = only_fault({**NO_KEY, "SLACK_APP_TOKEN": "x"}, settings, create_key=True)
    assert fault.key_path == "SLACK_APP_TOKEN"
    assert not key_path.exists()


def test_a_given_key_makes_no_file(settings: Settings, key_path: Path) -> None:
    assert load_secrets(SOCKET, settings, create_key=True).key_created is None
    assert not key_path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
def test_a_key_file_that_others_may_use_is_refused(settings: Settings, key_path: Path, mode: int) -> None:
    load_secrets(NO_KEY, settings, create_key=True)
    key_path.chmod(mode)
    fault = only_fault(NO_KEY, settings, create_key=True)
    assert fault.key_path == "SIGNOFF_SECRET_KEY"
    assert fault.remedy == f"chmod 600 {key_path}"


def test_a_damaged_key_file_is_not_replaced(settings: Settings, key_path: Path) -> None:
    key_path.touch(mode=0o600)
    assert "holds less than 32 bytes" in only_fault(NO_KEY, settings, create_key=True).problem
    assert key_path.read_bytes() == b""


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_a_key_file_that_is_none(settings: Settings, key_path: Path, kind: str) -> None:
    if kind == "folder":
        key_path.mkdir()
    else:
        key_path.symlink_to(key_path.parent / "gone")
    assert "cannot be read" in only_fault(NO_KEY, settings, create_key=True).problem


def test_a_key_that_cannot_be_made(tmp_path: Path) -> None:
    fault = only_fault(NO_KEY, settings_for(tmp_path / "none" / "signoff.db"), create_key=True)
    assert "cannot be made (No such file or directory)" in fault.problem


def test_starting_many_times_at_once_makes_one_key(settings: Settings, key_path: Path) -> None:
    starters = 8
    together = threading.Barrier(starters)

    def start() -> Secrets:
        together.wait()
        return load_secrets(NO_KEY, settings, create_key=True)

    for _ in range(20):
        with ThreadPoolExecutor(starters) as pool:
            started = [future.result() for future in [pool.submit(start) for _ in range(starters)]]
        assert len({secrets.secret_key for secrets in started}) == 1
        assert [secrets.key_created for secrets in started].count(key_path) == 1
        assert os.listdir(key_path.parent) == [key_path.name]
        key_path.unlink()


def test_postgresql_wants_its_key_given(settings: Settings) -> None:
    postgres = dataclasses.replace(settings, store=StoreSettings(url="postgresql://db/signoff"))
    assert key_file(postgres.store) is None
    fault = only_fault(NO_KEY, postgres, create_key=True)
    assert fault.key_path == "SIGNOFF_SECRET_KEY"
    assert "with PostgreSQL it is required" in fault.remedy
    assert load_secrets(SOCKET, postgres, create_key=True).secret_key == KEY.encode()


def test_the_key_alone_needs_no_slack(settings: Settings, key_path: Path) -> None:
    key = load_secret_key({}, settings.store, create_key=True)
    assert key.created == key_path
    assert load_secret_key({}, settings.store, create_key=False).as_bytes() == key.as_bytes()
    with pytest.raises(BadConfig):
        load_secret_key({"SIGNOFF_SECRET_KEY": "short"}, settings.store, create_key=True)


def test_nothing_shows_a_secret(settings: Settings) -> None:
    values = ["xoxb-1-bot", "xapp-1-app", KEY, "sesame"]
    secrets = load_secrets({**SOCKET, "SIGNOFF_METRICS_TOKEN": "sesame"}, settings, create_key=False)
    key = load_secret_key(SOCKET, settings.store, create_key=False)
    for text in (repr(secrets), str(secrets), f"{secrets}", repr(key), str(key)):
        assert not [value for value in values if value in text]


def test_no_traceback_shows_a_secret(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"xoxb-hidden\xff")
    env = {
        "SLACK_BOT_TOKEN_FILE": str(token),
        "SLACK_SIGNING_SECRET": "hidden hidden",
        "SIGNOFF_SECRET_KEY": "hidden",
    }
    with pytest.raises(BadConfig) as caught:
        load_secrets(env, settings_for(tmp_path / "x.db", "http"), create_key=True)
    assert len(caught.value.faults) == 3
    assert "hidden" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_modes_are_the_two_that_are_known() -> None:
    # load_secrets takes "not socket" for http: a third mode would have to say what it needs.
    assert get_args(SlackSettings.model_fields["mode"].annotation) == ("socket", "http")
