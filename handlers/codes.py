"""The stable word for an error: our own classes' ``code``, or what Slack answered. Never an error's text."""

import re

_CODE = re.compile(r"[a-z0-9_]{1,64}")


def error_code(error: BaseException) -> str | None:
    """Return the code that an exception carries; None for one that carries none."""
    code = getattr(error, "code", None)
    if code is None:
        response = getattr(error, "response", None)  # slack_sdk's SlackApiError, without importing it
        code = response.get("error") if response is not None and hasattr(response, "get") else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None
