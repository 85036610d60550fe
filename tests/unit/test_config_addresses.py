"""Addresses of the configuration: where Signoff listens and is reached, where Slack is, where the database is."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.config import BadConfig, Fault, Settings, is_loopback_host, parse_settings

SERVER = 'public_url = "http://127.0.0.1:8080"'
STORE = 'url = "sqlite:///signoff.db"'


def config(*, server: str = SERVER, slack: str = "", store: str = STORE) -> str:
    return f'[server]\n{server}\n[slack]\n{slack}\n[store]\n{store}\n[admins]\nusers = ["U0ADMIN"]\n'


def read(text: str, env: Mapping[str, str] | None = None) -> Settings:
    return parse_settings(text.encode(), env or {}, source="signoff.toml")


def only_fault(text: str, env: Mapping[str, str] | None = None) -> Fault:
    with pytest.raises(BadConfig) as caught:
        read(text, env)
    (fault,) = caught.value.faults
    return fault


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://signoff.example.com", "https://signoff.example.com"),
        ("https://example.com/signoff/", "https://example.com/signoff"),
    ],
)
def test_public_addresses(written: str, kept: str) -> None:
    assert read(config(server=f'public_url = "{written}"')).server.public_url == kept


@pytest.mark.parametrize(
    "address",
    [
        "",
        "signoff.example.com",
        "//signoff.example.com",
        "https://",
        "https:///x",
        "ftp://example.com",
        "http://signoff.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0",
        "https://user:hunter2@example.com",
        "http://127.0.0.1@example.com",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://example.com?",
        "https://exa mple.com",
        "https://exam\\tple.com",
        "https://exam\\\\ple.com",
        "https://example.com:0",
        "https://example.com:99999",
        "https://example.com:x",
        "https://[::1",
        "https://*.example.com",
        "https://exämple.com",
    ],
)
def test_addresses_that_are_not_public_addresses(address: str) -> None:
    fault = only_fault(config(server=f'public_url = "{address}"'))
    assert fault.key_path == "server.public_url"
    assert "hunter2" not in str(fault)


@pytest.mark.parametrize(
    ("host", "public_url", "alone"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080", True),
        ("localhost", "http://localhost:8080", True),
        ("::1", "http://[::1]:8080", True),
        ("0.0.0.0", "http://127.0.0.1:8080", False),
        ("::", "http://127.0.0.1:8080", False),
        ("127.0.0.1", "https://signoff.example.com", False),
        ("signoff.internal", "https://signoff.internal", False),
    ],
)
def test_loopback_only_takes_both_addresses(host: str, public_url: str, alone: bool) -> None:
    server = read(config(server=f'host = "{host}"\npublic_url = "{public_url}"')).server
    assert server.is_loopback_only is alone


@pytest.mark.parametrize("host", ["127.1.2.3", "LOCALHOST", "[::1]"])
def test_loopback_hosts(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host", ["", "127.1", "2130706433", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1"]
)
def test_hosts_that_may_be_elsewhere(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/api/", "http://localhost:9000/", "https://[::1]/api/"])
def test_a_stand_in_for_slack_on_loopback(url: str) -> None:
    assert read(config(slack=f'mode = "http"\napi_url = "{url}"')).slack.api_url == url


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///signoff.db", Path("signoff.db")),
        ("sqlite:///data/signoff.db", Path("data/signoff.db")),
        ("sqlite:////var/lib/signoff.db", Path("/var/lib/signoff.db")),
    ],
)
def test_where_the_database_is(url: str, path: Path) -> None:
    assert read(config(store=f'url = "{url}"')).store.sqlite_path == path


def test_the_environment_overrides_the_store() -> None:
    env = {"SIGNOFF_STORE_URL": "sqlite:////tmp/other.db"}
    assert read(config(), env).store.url == "sqlite:////tmp/other.db"
    assert read(config(store=""), env).store.url == "sqlite:////tmp/other.db"
    assert read(config(store='url = ":memory:"'), env).store.url == "sqlite:////tmp/other.db"


@pytest.mark.parametrize("url", ["", "sqlite://", "postgresql://u:hunter2@db", "hunter2"])
def test_a_bad_override_is_a_fault_of_the_variable_and_shows_no_password(url: str) -> None:
    fault = only_fault(config(), {"SIGNOFF_STORE_URL": url})
    assert fault.key_path == "SIGNOFF_STORE_URL"
    assert "hunter2" not in str(fault)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@db/signoff",
        "postgres://db:5433/signoff?sslmode=verify-full",
        "postgresql://u@one:5432,two:5433/signoff",
        "postgresql:///signoff?host=/run/postgresql",
        "postgresql://u@/?host=/run/postgresql&dbname=signoff",
    ],
)
def test_an_address_of_postgresql(url: str) -> None:
    store = read(config(), {"SIGNOFF_STORE_URL": url}).store
    assert (store.sqlite_path, store.database) == (None, url)
    assert "hunter2" not in repr(store)


def test_the_stores_address_is_in_no_repr() -> None:
    assert "signoff.db" not in repr(read(config()))
