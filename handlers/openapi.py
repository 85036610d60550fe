"""The agents' API as an OpenAPI 3.1 document, ``GET /aap/openapi.json``.

Kept from the vocabularies and limits that the code itself goes by, and held against the running API by tests: what it
says and what is answered must not differ. It needs no token: it says nothing that the protocol does not.
"""

import json
from functools import cache
from importlib.metadata import version
from typing import Any

from aiohttp import hdrs, web

from bot.addresses import MAX_URL
from bot.call import MAX_BODY_BYTES, MAX_NAME
from bot.provisioning import MAX_NAME as MAX_INSTANCE_NAME
from handlers.protocol import ROOT, Answer, routes_of
from handlers.wire import ERROR_TYPES, MAX_WAIT
from store.tables import OutcomeStatus, Status

Json = dict[str, Any]

PATH = "/openapi.json"
_UUID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time", "pattern": "Z$"}
_DURATION = {"type": "string", "pattern": "^[1-9][0-9]*(s|m|h)$", "maxLength": MAX_NAME}
# Printable, without spaces at its ends; what of Unicode is printable, a pattern cannot say.
_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
_INSTANCE_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_INSTANCE_NAME}
_FREE = {"type": "object", "additionalProperties": True}
_WHY = {
    400: "Something in the request is wrong; `param` names it.",
    401: "The token is missing, unknown or revoked.",
    403: "This kind of token may not do that.",
    404: "There is no such thing that this token may see.",
    409: "The state, or an earlier use of the key, is against it.",
    413: f"The body is larger than {MAX_BODY_BYTES} bytes.",
    415: "The body is not sent as application/json.",
    422: "The receiver did not answer the challenge. Nothing was stored.",
    429: "Too much for now; `Retry-After` says for how long.",
    500: "Something went wrong here.",
    503: "The database cannot serve right now.",
}


def openapi_routes() -> list[web.RouteDef]:
    """Return the routes that serve the document."""
    body = json.dumps(document(), separators=(",", ":")).encode()

    async def answer(http_request: web.Request) -> Answer:
        return 200, body

    return routes_of({PATH: {hdrs.METH_GET: answer}})


@cache
def document() -> Json:
    """Return the document. Not to be changed by its readers."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Signoff: Agent Approval Protocol, version 1",
            "version": version("signoff"),
            "description": "Agents ask before they act; people approve in Slack. See docs/protocol.md.",
        },
        "servers": [{"url": ROOT}],
        "tags": [{"name": "Requests"}, {"name": "Instances"}],
        "paths": {
            "/v1/requests": {"post": _create_request()},
            "/v1/requests/{id}": {
                "parameters": [_id("The request's id.")],
                "get": _read_request(),
                "delete": _cancel_request(),
            },
            "/v1/requests/{id}/consume": {"parameters": [_id("The request's id.")], "post": _consume()},
            "/v1/requests/{id}/outcome": {"parameters": [_id("The request's id.")], "post": _report_outcome()},
            "/v1/instances": {"post": _create_instance()},
            "/v1/instances/{id}": {
                "parameters": [_id("The instance's id.")],
                "get": _read_instance(),
                "patch": _update_instance(),
                "delete": _delete_instance(),
            },
        },
        "components": {
            "securitySchemes": {
                "InstanceCredential": _bearer("An instance's token, so_i_…"),
                "ProvisionerToken": _bearer("A provisioner's token, so_p_…"),
            },
            "schemas": _schemas(),
        },
    }


# --- operations -------------------------------------------------------------------------------------------


def _create_request() -> Json:
    return _operation(
        "createApprovalRequest", "Ask for approval of one call", "InstanceCredential",
        {201: "Request", 200: "Request"}, (400, 409, 413, 415, 429), body="CreateRequest", key=True,
    )  # fmt: skip


def _read_request() -> Json:
    wait = {
        "name": "wait",
        "in": "query",
        "description": f"Hold the answer until the request is decided, at most {MAX_WAIT.total_seconds():.0f} seconds.",
        "schema": _DURATION,
    }
    return _operation(
        "getApprovalRequest", "Read a request, or wait for its decision", "InstanceCredential",
        {200: "Request"}, (400, 404), parameters=[wait],
    )  # fmt: skip


def _cancel_request() -> Json:
    return _operation(
        "cancelApprovalRequest", "Cancel a pending request", "InstanceCredential", {200: "Request"}, (404, 409)
    )


def _consume() -> Json:
    return _operation(
        "consumeApproval", "Take an approval, once, just before the call runs", "InstanceCredential",
        {200: "Request"}, (400, 404, 409), key=True,
    )  # fmt: skip


def _report_outcome() -> Json:
    return _operation(
        "reportOutcome", "Say what became of the call", "InstanceCredential",
        {200: "Request"}, (400, 404, 409, 413, 415), body="Outcome",
    )  # fmt: skip


def _create_instance() -> Json:
    return _operation(
        "provisionInstance", "Make an instance of the provisioner's agent", "ProvisionerToken",
        {201: "Provisioned", 200: "Provisioned"}, (400, 409, 413, 415, 422, 429), body="CreateInstance", key=True,
    )  # fmt: skip


def _read_instance() -> Json:
    return _operation("getInstance", "Read an instance", "ProvisionerToken", {200: "Instance"}, (404,))


def _update_instance() -> Json:
    return _operation(
        "updateInstance", "Rename an instance, replace or remove its receiver", "ProvisionerToken",
        {200: "Instance"}, (400, 404, 409, 413, 415, 422, 429), body="UpdateInstance", key=True,
    )  # fmt: skip


def _delete_instance() -> Json:
    return _operation(
        "deleteInstance", "Delete an instance: its tokens, what it has pending, its notifications", "ProvisionerToken",
        {204: None}, (404,),
    )  # fmt: skip


def _operation(
    operation_id: str,
    summary: str,
    security: str,
    good: dict[int, str | None],
    bad: tuple[int, ...],
    *,
    body: str | None = None,
    key: bool = False,
    parameters: list[Json] | None = None,
) -> Json:
    made: Json = {
        "operationId": operation_id,
        "summary": summary,
        "tags": ["Requests" if security == "InstanceCredential" else "Instances"],
        "security": [{security: []}],
        "responses": {
            **{str(status): _good(schema) for status, schema in good.items()},
            **{str(status): _bad(status) for status in sorted({*bad, 401, 403, 500, 503})},
        },
    }
    if given := [*(parameters or []), *([_key()] if key else [])]:
        made["parameters"] = given
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return made


def _good(schema: str | None) -> Json:
    made: Json = {"description": "Done.", "headers": {"X-Request-ID": {"required": True, "schema": _UUID}}}
    if schema is not None:
        made["content"] = {"application/json": {"schema": _ref(schema)}}
    return made


def _bad(status: int) -> Json:
    made = _good("Error") | {"description": _WHY[status]}
    if status in (429, 503):
        seconds = {"type": "string", "pattern": "^[1-9][0-9]*$", "description": "Seconds."}
        made["headers"] = {**made["headers"], "Retry-After": {"required": True, "schema": seconds}}
    return made


def _bearer(description: str) -> Json:
    return {"type": "http", "scheme": "bearer", "description": description}


def _id(description: str) -> Json:
    return {"name": "id", "in": "path", "required": True, "description": description, "schema": _UUID}


def _key() -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "The same key and fields again give the same answer; other fields are refused.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


# --- objects ----------------------------------------------------------------------------------------------


def _object(required: tuple[str, ...], **properties: Json) -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def _schemas() -> Json:
    over = [status.value for status in Status if status is not Status.PENDING]
    call: Json = {"tool": _NAME, "server": _NAME, "arguments": _FREE, "timeout": _DURATION}
    said: Json = {"agent_reasoning": {"type": "string"}, "context": _FREE}
    outcome = {"enum": [one.value for one in OutcomeStatus]}
    delivery: Json = {
        "type": {"const": "webhook"},
        "url": {"type": "string", "format": "uri", "maxLength": MAX_URL},
        "registration_id": _UUID,
    }
    secret = {"type": "string", "writeOnly": True, "pattern": "^whsec_[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"}
    schemas = {
        "CreateRequest": _object(("tool", "arguments", "timeout"), **call, **said),
        "Request": _object(
            ("id", "tool", "arguments", "timeout", "status", "created_at", "deadline_at"),
            id=_UUID, **call, **said,
            status={"enum": [status.value for status in Status]},
            created_at=_TIME, deadline_at=_TIME, decision=_ref("Decision"), consumption=_ref("Consumption"),
        ),
        "Decision": _object(
            ("status", "decided_at"),
            status={"enum": over}, note={"type": "string", "minLength": 1}, decided_at=_TIME, expires_at=_TIME,
        ),
        "Consumption": _object(("consumed_at",), consumed_at=_TIME, outcome=_ref("ReportedOutcome")),
        "Outcome": _object(("status",), status=outcome, note={"type": "string"}),
        "ReportedOutcome": _object(
            ("status", "reported_at"), status=outcome, note={"type": "string", "minLength": 1}, reported_at=_TIME
        ),
        "CreateInstance": _object((), instance_name=_INSTANCE_NAME, delivery=_ref("NewDelivery")),
        "UpdateInstance": _object(
            (), instance_name=_INSTANCE_NAME, delivery={"oneOf": [_ref("NewDelivery"), {"type": "null"}]}
        )
        | {"minProperties": 1},
        "NewDelivery": _object(
            ("type", "url", "registration_id", "signing_secret"), **delivery, signing_secret=secret
        ),
        "Delivery": _object(("type", "url", "registration_id"), **delivery),
        "Instance": _object(("id", "name"), id=_UUID, name=_INSTANCE_NAME, delivery=_ref("Delivery")),
        "Provisioned": _object(
            ("instance", "credential"),
            instance=_ref("Instance"),
            credential=_object(("token",), token={"type": "string", "minLength": 1}),
        ),
        "Error": _object(
            ("error",),
            error=_object(
                ("type", "code", "message", "request_id"),
                type={"enum": sorted(set(ERROR_TYPES.values()))},
                code={"type": "string", "pattern": "^[a-z][a-z0-9]*(_[a-z0-9]+)*$"},
                message={"type": "string", "minLength": 1},
                param={"type": "string", "minLength": 1},
                request_id=_UUID,
            ),
        ),
    }  # fmt: skip
    schemas["Request"]["oneOf"] = [
        {"properties": {"status": {"const": "pending"}, "decision": False, "consumption": False}},
        {
            "required": ["decision"],
            "properties": {
                "status": {"const": "approved"},
                "decision": {"required": ["expires_at"], "properties": {"status": {"const": "approved"}}},
            },
        },
        *(
            {
                "required": ["decision"],
                "properties": {
                    "status": {"const": status},
                    "decision": {"properties": {"status": {"const": status}, "expires_at": False}},
                    "consumption": False,
                },
            }
            for status in over
            if status != "approved"
        ),
    ]
    return schemas
