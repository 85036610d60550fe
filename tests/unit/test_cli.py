"""The command line itself: what it understands, how it fails, and that it starts fast."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import OperatorError
from bot.secret_reader import VARIABLES
from handlers.cli import main
from handlers.cli.parser import build_parser, help_of
from handlers.cli.say import shown
from store.unit import NewerSchema, OlderSchema, RestoredCopy, StoreUnavailable

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
# What only a command that needs it may import.
HEAVY = ("aiohttp", "alembic", "bot", "prometheus_client", "pydantic", "slack_sdk", "sqlalchemy", "store", "structlog")


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "--version",
        "serve --help",
        "demo --help",
        "check --help",
        "manifest --help",
        "instance --help",
        "instance create --help",
        "instance list --help",
        "instance rotate --help",
        "instance revoke --help",
    ],
)
def test_help_is_everywhere_and_on_stdout(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split(), {}) == 0
    out, err = capsys.readouterr()
    assert out
    assert err == ""


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"], {}) == 0
    pyproject = (EXAMPLE.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{capsys.readouterr().out.split()[1]}"' in pyproject


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "usage: signoff"),
        ("instance", "usage: signoff instance"),
        ("serv", "invalid choice: 'serv'"),
        ("serve --conf x", "unrecognized arguments: --conf"),  # no abbreviations: they break when options are added
        ("instance create", "required: NAME, --agent"),
        ("instance forget x", "invalid choice: 'forget'"),
        ("demo --port eighty", "no port"),
        ("demo --port 70000", "no port"),
        ("manifest --mode smoke", "invalid choice: 'smoke'"),
        ("manifest --config x --public-url https://x", "not allowed with"),
    ],
)
def test_what_is_not_understood_is_said_on_stderr(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split(), {}) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_every_option_and_the_default_configuration_are_explained() -> None:
    for path in (["serve"], ["check"], *(["instance", act] for act in ("create", "list", "rotate", "revoke"))):
        text = " ".join(help_of(build_parser(), path).split())
        assert "default: $SIGNOFF_CONFIG, else ./config.toml" in text, path
    serve = help_of(build_parser(), ["serve"])
    for variable in (*VARIABLES, "SIGNOFF_STORE_URL", "SIGNOFF_LOG_LEVEL"):
        assert variable in serve


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, json\n"
        "from handlers.cli import main\n"
        "assert main(['instance', 'create', '--help']) == 0\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    imported = json.loads(run.stdout.splitlines()[-1])
    assert [name for name in HEAVY if name in imported] == []


# --- failures ---


def test_all_faults_of_a_configuration_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "signoff.toml"
    config.write_text('[server]\nport = "x"\n[slack]\nmode = "fax"\n')
    assert main(["instance", "list", "--config", str(config)], {}) == 1
    out, err = capsys.readouterr()
    assert out == ""
    for key in ("server.port", "server.public_url", "slack.mode", "store.url", "admins.users"):
        assert f"  {key}: " in err


@pytest.mark.parametrize(
    "error",
    [
        OperatorError("That instance is made of cheese."),
        StoreUnavailable("the database did not take it"),
        NewerSchema("a newer version wrote it"),
        OlderSchema("migrate first"),
        RestoredCopy("a backup that was put back"),
        OSError(98, "Address already in use"),
    ],
)
def test_an_expected_failure_is_one_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("handlers.cli.instances.run", fail)
    assert main(["instance", "list"], {}) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("signoff: ")
    assert (error.strerror if isinstance(error, OSError) else str(error)) in err
    assert err.count("\n") == 1


def test_what_nobody_expected_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("handlers.cli.instances.run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["instance", "list"], {})


def test_ctrl_c_ends_a_command_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("handlers.check.run_check", interrupted)
    assert main(["check"], {}) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_enough_is_no_error_to_talk_about() -> None:
    code = "import sys; from handlers.cli import main; sys.exit(main(['manifest', '--json']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait(timeout=30) == 1


# --- check ---


def test_check_exits_with_1_on_a_fault_and_lists_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--config", str(EXAMPLE)], {}) == 1
    out, err = capsys.readouterr()
    assert err == ""
    report = json.loads(out)
    assert report["ok"] is False
    assert {"level": "fault", "part": "secrets", "text": "SLACK_BOT_TOKEN is not set"}.items() <= max(
        report["findings"], key=lambda finding: finding["text"] == "SLACK_BOT_TOKEN is not set"
    ).items()


def test_check_exits_with_0_when_nothing_is_at_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from handlers.findings import Report

    async def all_is_well(path: Path, *_: object) -> Report:
        report = Report()
        report.ok("configuration", f"read {path}")
        report.warning("server", "hm", "do this")
        return report

    monkeypatch.setattr("handlers.check.run_check", all_is_well)
    assert main(["check"], {}) == 0
    assert "read config.toml" in capsys.readouterr().out  # the default
    assert main(["check"], {"SIGNOFF_CONFIG": "/etc/signoff.toml"}) == 0
    assert "read /etc/signoff.toml" in capsys.readouterr().out
    assert main(["check", "--config", "mine.toml"], {"SIGNOFF_CONFIG": "/etc/signoff.toml"}) == 0
    assert "read mine.toml" in capsys.readouterr().out


# --- manifest ---


def manifest_of(capsys: pytest.CaptureFixture[str], *line: str, env: dict[str, str] | None = None) -> dict[str, object]:
    assert main(["manifest", *line], env or {}) == 0
    out, err = capsys.readouterr()
    assert ("api.slack.com/apps" in err) != ("--json" in line)
    settings: dict[str, object] = json.loads(out)["settings"]
    return settings


def test_the_manifest_is_socket_modes_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert manifest_of(capsys)["socket_mode_enabled"] is True
    assert manifest_of(capsys, "--json")["socket_mode_enabled"] is True
    assert manifest_of(capsys, "--mode", "socket", "--config", str(EXAMPLE))["socket_mode_enabled"] is True


def test_an_address_means_http_mode(capsys: pytest.CaptureFixture[str]) -> None:
    for mode in ([], ["--mode", "http"]):
        settings = manifest_of(capsys, "--public-url", "https://signoff.example.com/", *mode)
        assert settings["interactivity"] == {
            "is_enabled": True,
            "request_url": "https://signoff.example.com/slack/events",
        }


@pytest.mark.parametrize("mode", [[], ["--mode", "http"]])
def test_the_configuration_gives_mode_and_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: list[str]
) -> None:
    config = tmp_path / "signoff.toml"
    text = EXAMPLE.read_text(encoding="utf-8").replace('mode = "socket"', 'mode = "http"')
    config.write_text(text.replace("http://127.0.0.1:8080", "https://signoff.example.com"))
    assert manifest_of(capsys, "--config", str(config), *mode)["socket_mode_enabled"] is False
    assert manifest_of(capsys, "--mode", "http", env={"SIGNOFF_CONFIG": str(config)})["socket_mode_enabled"] is False
    assert manifest_of(capsys, "--config", str(config), "--mode", "socket")["socket_mode_enabled"] is True


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["--public-url", "http://x.example.com"], 2, "plain http"),
        (["--public-url", "not an address"], 2, "--public-url: "),
        (["--public-url", "https://x.example.com", "--mode", "socket"], 2, "http mode"),
        (["--public-url", "https://127.0.0.1"], 1, "cannot reach"),
        (["--mode", "http", "--config", str(EXAMPLE)], 1, "cannot reach"),
        (["--mode", "http"], 2, "--public-url"),
    ],
)
def test_an_address_that_slack_could_not_call_is_refused(
    line: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["manifest", *line], {}) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_names_cannot_play_tricks_on_the_terminal() -> None:
    assert shown("a\x1b[31m\u202eb\n") == "a\\u{1b}[31m\\u{202e}b\\u{a}"
    assert shown("Zürich 1") == "Zürich 1"


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("signoff")
    run = subprocess.run([command, "--version"], capture_output=True, text=True, check=True, timeout=30, env=os.environ)
    assert run.stdout.startswith("signoff ")
