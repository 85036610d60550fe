"""Rules for the small composition objects: texts, options, confirmations."""

from __future__ import annotations

from typing import Any

from playground.blockkit.rules import Report, Rule, array, boolean, both, by_type, fields, string, url, when_object

TEXT_MOST = 3000
OPTION_TEXT_MOST = 75
OPTION_VALUE_MOST = 150


def plain_text(most: int = TEXT_MOST) -> Rule:
    """A `plain_text` object. Slack takes no `verbatim` on it."""
    return by_type({"plain_text": plain_fields(most)})


def any_text(most: int = TEXT_MOST) -> Rule:
    """A `plain_text` or `mrkdwn` object. Slack takes no `emoji` on mrkdwn."""
    return by_type({"plain_text": plain_fields(most), "mrkdwn": mrkdwn_fields(most)})


def plain_fields(most: int) -> Rule:
    """What a `plain_text` object has beside its type."""
    return fields({"text": string(most=most)}, {"emoji": boolean}, kind="plain_text")


def mrkdwn_fields(most: int) -> Rule:
    """What a `mrkdwn` object has beside its type."""
    return fields({"text": string(most=most)}, {"verbatim": boolean}, kind="mrkdwn")


def option(*, mrkdwn: bool = False, with_url: bool = False) -> Rule:
    """One option. Only radio buttons and checkboxes take mrkdwn, only an overflow menu takes `url`."""
    text = any_text(OPTION_TEXT_MOST) if mrkdwn else plain_text(OPTION_TEXT_MOST)
    optional: dict[str, Rule] = {"description": any_text(75) if mrkdwn else plain_text(75)}
    if with_url:
        optional["url"] = url()
    return fields({"text": text, "value": string(most=OPTION_VALUE_MOST)}, optional)


def options(most: int, *, mrkdwn: bool = False, with_url: bool = False) -> Rule:
    """A list of options, each value once."""
    return both(array(option(mrkdwn=mrkdwn, with_url=with_url), most=most), _distinct_values)


def option_groups(most: int = 100) -> Rule:
    """Groups of options."""
    return array(fields({"label": plain_text(75), "options": options(100)}), most=most)


def _distinct_values(value: Any, pointer: str, report: Report) -> None:
    if not isinstance(value, list):
        return
    seen: set[str] = set()
    for index, entry in enumerate(value):
        chosen = entry.get("value") if isinstance(entry, dict) else None
        if isinstance(chosen, str):
            if chosen in seen:
                report.add(f"{pointer}/{index}/value", f"duplicate option value: {chosen}", type="unique")
            seen.add(chosen)


CONFIRM = fields(
    {"title": plain_text(100), "text": any_text(300), "confirm": plain_text(30), "deny": plain_text(30)},
    {"style": string(among=("primary", "danger"))},
)


def initial_option_offered(value: dict[str, Any], pointer: str, report: Report) -> None:
    """What is chosen at the start must be one of the options, exactly."""
    groups = value.get("option_groups")
    lists = [value.get("options")]
    if isinstance(groups, list):
        lists += [group.get("options") for group in groups if isinstance(group, dict)]
    offered = [entry for part in lists if isinstance(part, list) for entry in part]
    chosen = []
    if "initial_option" in value:
        chosen.append(("initial_option", value["initial_option"]))
    initial = value.get("initial_options")
    if isinstance(initial, list):
        chosen += [(f"initial_options/{index}", entry) for index, entry in enumerate(initial)]
    for where, entry in chosen:
        if entry not in offered:
            report.add(f"{pointer}/{where}", "must be one of the provided options", type="enum")


OFFERED = when_object(initial_option_offered)
