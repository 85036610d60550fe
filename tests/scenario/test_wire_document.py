"""The served OpenAPI document is true: schemathesis sends the running service whatever it allows, and what it forbids.

All that schemathesis knows is in the run: examples at the limits, random ones that fit and that do not, and chains of
calls that follow the document's links. What it reports is a difference between document and service, a 5xx, a missing
X-Request-ID or a call that was let in without its token. The seed is fixed. ``SIGNOFF_SCHEMATHESIS=500`` sends about
that many examples to each operation instead of a few, and another ``SIGNOFF_SCHEMATHESIS_SEED`` sends others; that
takes longer than a test may, and wants ``-o faulthandler_timeout=3600``.
"""

import asyncio
import json
import logging
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from aiohttp import hdrs, web
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import TestPhase

from bot.addresses import UnsafeAddress, parse_destination
from handlers.agents import AgentsApi
from handlers.instances_api import InstancesApi
from handlers.openapi import document
from handlers.protocol import ROOT
from handlers.wire import is_uuid
from tests.conftest import SAMPLE
from tests.scenario.receiver_support import Platform, platform_of, receiving
from tests.scenario.service_support import Workplace, assert_sound, playing, serving

TEXT = SAMPLE + "\n[delivery]\nallow_loopback = true\n"
EXAMPLES = int(os.environ.get("SIGNOFF_SCHEMATHESIS", "3"))
SEED = int(os.environ.get("SIGNOFF_SCHEMATHESIS_SEED", "1"))
LONGEST_WAIT = "1s"


KEY_HEADER = "Idempotency-Key"


@dataclass(frozen=True)
class Given:
    """What there is before the run: a receiver that agrees to everything, and the ids of requests and instances."""

    receiver_url: str
    pending: list[str]
    approved: list[str]
    instances: list[str]


def prepare(case: Any, given: Given) -> None:
    """Let a case reach further: what is there already, tools that rules know, keys that come back, short waits.

    What is wrong in a case stays wrong, and what is right stays right: names are made of letters, because no pattern
    can say what of Unicode is printable.
    """
    if isinstance(case.query, Mapping) and isinstance(wait := case.query.get("wait"), str) and wait[-1:] in "smh":
        case.query["wait"] = LONGEST_WAIT
    chance = zlib.crc32(repr((case.path_parameters, case.body)).encode(errors="replace"))
    if (
        case.meta is not None
        and case.meta.phase.name is TestPhase.FUZZING
        and is_uuid(str((case.path_parameters or {}).get("id")))
    ):
        requests = given.pending if case.method == hdrs.METH_DELETE else given.approved
        ids = requests if "/requests/" in case.path else given.instances
        case.path_parameters["id"] = ids[chance % len(ids)]
    if chance % 3 == 0 and isinstance(key := case.headers.get(KEY_HEADER), str) and key.isascii() and key.isprintable():
        case.headers[KEY_HEADER] = f"again-{chance % 2}"
    if not isinstance(case.body, dict):
        return
    for name in ("tool", "server", "instance_name"):
        if isinstance(text := case.body.get(name), str) and not (text.isprintable() and text == text.strip()):
            case.body[name] = "x" * len(text)
    if 0 < len(str(case.body.get("tool", ""))) <= 75 and isinstance(case.body["tool"], str):
        case.body["tool"] = ("look_up", "look_up", "issue_refund", case.body["tool"])[chance % 4]
    delivery = case.body.get("delivery")
    if isinstance(delivery, dict) and isinstance(url := delivery.get("url"), str):
        try:
            parse_destination(url, allow_loopback=True)
        except UnsafeAddress:
            if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
                delivery["url"] = given.receiver_url
        else:
            delivery["url"] = given.receiver_url


@dataclass
class Report:
    """What schemathesis has to tell, and which answers it saw of which operation."""

    told: list[str] = field(default_factory=list)
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)


def run(served: dict[str, Any], base_url: str, tokens: dict[str, str], given: Given) -> Report:
    """Hold a document against the service at ``base_url``."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "base-url": base_url,
            "request-timeout": 30,
            "auth": {"openapi": {name: {"bearer": token} for name, token in tokens.items()}},
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "phases": {"stateful": {"max-steps": 8, "generation": {"max-examples": 2 * EXAMPLES}}},
        }
    )
    schema = schemathesis.openapi.from_dict(served, config=config)

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        prepare(case, given)

    report = Report()
    try:
        for event in from_schema(schema).execute():
            take(event, report)
    finally:
        schemathesis.hooks.unregister_all()
    return report


def take(event: Any, report: Report) -> None:
    """Write down what there is to tell of an event."""
    if isinstance(event, events.ScenarioFinished):
        for node in event.recorder.cases.values():
            if (interaction := event.recorder.interactions.get(node.value.id)) and interaction.response:
                report.seen[node.value.operation.label, interaction.response.status_code] += 1
        for checks in event.recorder.checks.values():
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    report.told.append(f"{check.name}: {failure.message}\n{check.failure_info.code_sample}")
    elif isinstance(event, events.NonFatalError):
        report.told.append(f"{event.label}: {event.value!r}")
    elif isinstance(event, events.FatalError):
        report.told.append(repr(event.exception))


async def agree(http_request: web.Request, body: bytes) -> web.StreamResponse:
    """Be the receiver of whoever asks."""
    message = json.loads(body)
    if "challenge" in message:
        return web.json_response({"challenge": message["challenge"]})
    return web.Response(status=204)


async def test_the_service_does_what_its_document_says(database: Path) -> None:
    async with playing() as slack, receiving() as station, serving(slack, database, text=TEXT) as work:
        platform = await platform_of(work)
        async with work.session.get(f"{work.agents_url}/openapi.json") as answer:
            assert answer.headers["X-Request-ID"]
            served = await answer.json()
        async with work.session.post(f"{work.agents_url}/openapi.json") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET")
        tokens = {"InstanceCredential": work.token, "ProvisionerToken": platform.token}
        station.answer = agree
        pending = [await ask(work, "issue_refund", key) for key in "ab"]
        approved = [await ask(work, "look_up", key) for key in "cdef"]
        for one in approved[2:]:  # so that outcomes can be reported however the cases are shuffled
            status, _ = await work.send("POST", f"/v1/requests/{one}/consume", key="before")
            assert status == 200
        given = Given(station.url, pending, approved, [await make(platform, key) for key in "ab"])
        report = await asyncio.to_thread(run, served, work.agents_url, tokens, given)
    logging.getLogger(__name__).warning("%d cases", report.seen.total())  # -o log_cli=true shows it
    assert report.told == [], "\n".join(report.told)
    # It got somewhere: every operation was carried out, and much was refused.
    done = {operation for operation, status in report.seen if status < 300}
    assert done == {f"{method.upper()} {path}" for path, method in operations(served)}
    assert {200, 201, 204, 400, 401, 404, 405, 409} <= {status for _, status in report.seen}
    assert_sound(database)


async def ask(work: Workplace, tool: str, key: str) -> str:
    _, request = await work.send("POST", "/v1/requests", {"tool": tool, "arguments": {}, "timeout": "1h"}, key=key)
    return str(request["id"])


async def make(platform: Platform, key: str) -> str:
    return str((await platform.make(key=key))["instance"]["id"])


def operations(served: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and method of everything that a document tells of."""
    for path, item in served["paths"].items():
        yield from ((path, method) for method in item if method != "parameters")


def test_every_route_is_in_the_document_and_the_other_way_round() -> None:
    nothing: Any = None
    routes = [*AgentsApi(nothing, nothing, nothing).routes(), *InstancesApi(nothing, nothing).routes()]
    served = {
        (route.path.removeprefix(ROOT), route.method.lower()) for route in routes if route.method != hdrs.METH_ANY
    }
    assert served == set(operations(document()))
