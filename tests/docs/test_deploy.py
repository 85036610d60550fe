"""What is under deploy/ is true: its commands are commands, its paths, variables and ports those of the project.

There is no engine for containers here, so what it would do with these files is read from them. systemd judges its own
units where it is installed.
"""

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from bot.call import MAX_BODY_BYTES
from bot.config import STORE_URL_VARIABLE, parse_settings
from bot.secret_reader import VARIABLES
from handlers.cli.parser import build_parser
from handlers.cli.parts import CONFIG_VARIABLE
from handlers.cli.running import _FILES
from handlers.health import HEALTH_PATH
from handlers.metrics import METRICS_PATH
from handlers.wire import MAX_WAIT
from store.postgres_connections import CONNECT_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
PORT = parse_settings(EXAMPLE.encode(), {}, source="example").server.port
KNOWN_VARIABLES = {CONFIG_VARIABLE, STORE_URL_VARIABLE, *VARIABLES, *(f"{name}_FILE" for name in VARIABLES)}
STOPS_SECONDS = 2  # what shutting down takes at most
UNITS = sorted(path.name for path in DEPLOY.glob("signoff*.*") if path.suffix in {".service", ".timer"})


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def seconds(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]  # it fails, as it must
    return int(number) * {"s": 1, "m": 60}[unit]


def assert_is_command(words: list[str]) -> None:
    """Check that ``signoff`` understands the words."""
    assert build_parser().parse_args(words).command == words[0]


def test_every_file_is_explained() -> None:
    for path in DEPLOY.iterdir():
        assert f"(../deploy/{path.name})" in DOCS, path.name
        assert path.read_text(encoding="utf-8").startswith("#")


# --- the image ---


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", text("Containerfile"))
    return [(word, rest.strip()) for word, rest in re.findall(r"^([A-Z]+) (.*)$", joined, re.MULTILINE)]


def test_the_image_has_all_that_is_installed() -> None:
    copied = {name for word, rest in instructions() if word == "COPY" for name in rest.split()[:-1] if "--" not in rest}
    assert all((ROOT / name).exists() for name in copied)
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    project = PYPROJECT["project"]
    assert copied == {"requirements.txt", "pyproject.toml", project["readme"], *project["license-files"], *packages}
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert len(set(bases)) == 1
    assert project["requires-python"] == f">={re.search(r'python:(3[.][0-9]+)-', bases[0])[1]}"  # type: ignore[index]
    assert "--require-hashes -r requirements.txt" in text("Containerfile")


def test_the_image_runs_the_server_as_nobody_in_particular() -> None:
    given = dict(instructions())
    assert yaml.safe_load(given["ENTRYPOINT"]) == [next(iter(PYPROJECT["project"]["scripts"]))]
    assert_is_command(yaml.safe_load(given["CMD"]))
    assert given["EXPOSE"] == str(PORT)
    assert f"http://127.0.0.1:{PORT}{HEALTH_PATH}" in given["HEALTHCHECK"]
    compile(yaml.safe_load(given["HEALTHCHECK"].partition("CMD ")[2])[2], "healthcheck", "exec")
    assert given["USER"] == "10001"
    assert given["WORKDIR"] == given["VOLUME"] == "/var/lib/signoff"
    set_here = dict(pair.split("=", 1) for pair in given["ENV"].split())
    assert {name for name in set_here if name.startswith("SIGNOFF")} <= KNOWN_VARIABLES


# --- compose ---


@pytest.fixture
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(text("compose.yaml"))
    return parsed


def test_compose_leads_to_files_and_variables_that_are_there(compose: dict[str, Any]) -> None:
    signoff = compose["services"]["signoff"]
    assert (DEPLOY / signoff["build"]["context"]).resolve() == ROOT
    assert (ROOT / signoff["build"]["dockerfile"]).is_file()
    environment = signoff["environment"]
    assert set(environment) <= KNOWN_VARIABLES
    assert signoff["volumes"] == [f"./config.toml:{environment[CONFIG_VARIABLE]}:ro"]
    # A secret key is made in a file only beside SQLite; the replicas must have the same one.
    assert "SIGNOFF_SECRET_KEY_FILE" in environment
    files = {value for name, value in environment.items() if name.endswith("_FILE")}
    assert files == {f"/run/secrets/{name}" for name in signoff["secrets"]}
    assert set(signoff["secrets"]) == set(compose["secrets"])
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert source == "./config.toml" or (DEPLOY / source).is_file()
            else:
                assert source in compose["volumes"]
        assert set(service.get("depends_on", ())) <= set(compose["services"])


def test_compose_leads_to_its_own_database(compose: dict[str, Any]) -> None:
    db = compose["services"]["db"]["environment"]
    url = compose["services"]["signoff"]["environment"][STORE_URL_VARIABLE]
    password = db["POSTGRES_PASSWORD"]
    assert password.startswith("${SIGNOFF_DB_PASSWORD:?")  # there is no password to forget to change
    assert url == f"postgresql://{db['POSTGRES_USER']}:{password}@db:5432/{db['POSTGRES_DB']}"
    assert "ports" not in compose["services"]["db"]
    check = compose["services"]["db"]["healthcheck"]
    assert f"--username={db['POSTGRES_USER']}" in check["test"]
    assert seconds(check["interval"]) * check["retries"] > CONNECT_SECONDS


def test_compose_holds_signoff_in(compose: dict[str, Any]) -> None:
    signoff = compose["services"]["signoff"]
    assert signoff["read_only"] is True
    assert signoff["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in signoff["security_opt"]
    assert "ports" not in signoff  # only the proxy is reached from outside
    assert signoff["expose"] == [str(PORT)]
    assert signoff["ulimits"]["nofile"] == _FILES
    assert seconds(signoff["stop_grace_period"]) > STOPS_SECONDS
    assert signoff["deploy"]["replicas"] > 1


# --- proxies ---


def test_the_proxies_hold_long_polls_and_let_bodies_through() -> None:
    patience = MAX_WAIT.total_seconds() + 10
    nginx, caddy = text("nginx.conf"), text("Caddyfile")
    assert seconds(re.search(r"proxy_read_timeout (\w+);", nginx)[1]) >= patience  # type: ignore[index]
    assert seconds(re.search(r"response_header_timeout (\w+)", caddy)[1]) >= patience  # type: ignore[index]
    assert int(re.search(r"client_max_body_size (\d+)m;", nginx)[1]) * 2**20 > MAX_BODY_BYTES  # type: ignore[index]
    assert int(re.search(r"max_size (\d+)MiB", caddy)[1]) * 2**20 > MAX_BODY_BYTES  # type: ignore[index]
    assert f"server 127.0.0.1:{PORT};" in nginx
    assert re.search(rf"name signoff\n\s*port {PORT}\n", caddy)
    assert f"location = {METRICS_PATH} {{" in nginx
    assert f"@inside path {METRICS_PATH}\n" in caddy
    assert nginx.count("{") == nginx.count("}")
    assert caddy.count("{") == caddy.count("}")


# --- systemd ---


def unit(name: str) -> dict[str, dict[str, str]]:
    """The unit's sections; of a key that is given more than once, the last."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as its documentation says
    parser.read_string(text(name))
    return {section: dict(parser[section]) for section in parser.sections()}


def test_the_units_run_commands_of_ours() -> None:
    service = unit("signoff.service")["Service"]
    for key, words in (("ExecStart", ["serve"]), ("ExecReload", ["reload"])):
        program, *given = shlex.split(service[key])
        assert program == "/opt/signoff/bin/signoff"
        assert given == words
        assert_is_command(given)
    backup = unit("signoff-backup.service")["Service"]
    _, _, script = shlex.split(backup["ExecStart"])
    words = shlex.split(script.replace("$$(date -u +%%Y%%m%%dT%%H%%M%%SZ)", "now"))
    assert words[:2] == ["exec", "/opt/signoff/bin/signoff"]
    assert_is_command(words[2:])
    assert words[-1].startswith("/var/lib/signoff-backups/")
    for given_by in (service, backup):
        assert given_by["EnvironmentFile"] == "/etc/signoff/environment"
        assert given_by["WorkingDirectory"] == "/var/lib/signoff"
        assert given_by["StateDirectory"].split()[0] == "signoff"
    assert int(service["LimitNOFILE"]) == _FILES
    assert seconds(service["TimeoutStopSec"]) > STOPS_SECONDS


def test_the_environment_names_what_there_is() -> None:
    lines = [line for line in text("environment").splitlines() if not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) <= KNOWN_VARIABLES
    assert all(value.startswith("/etc/signoff/") for value in given.values())
    assert all(name.endswith("_FILE") or name == CONFIG_VARIABLE for name in given)  # no secret stands in it


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:  # then this much at least
        assert {"Unit"} < set(unit(name))
        return
    for other in UNITS:  # with a program that is there, in place of ours
        (tmp_path / other).write_text(text(other).replace("/opt/signoff/bin/signoff", "/bin/true"))
    checked = subprocess.run([analyze, "verify", tmp_path / name], capture_output=True, text=True, timeout=30)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    if name.endswith(".service"):
        judged = [analyze, "security", "--offline=yes", "--threshold=25", tmp_path / name]
        assert subprocess.run(judged, capture_output=True, timeout=30).returncode == 0
