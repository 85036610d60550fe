"""A small company for the demo: its people and channels, and a few calls an agent might make.

The ids are those of `config.example.toml`. Nothing here knows what a rule says about them.
"""

from __future__ import annotations

import json

from playground.agent import Preset
from playground.workspace import Workspace

PARTNER_TEAM = "T0PARTNER"


def fill_sample(workspace: Workspace) -> None:
    """Adds the sample people, user group and channels."""
    bot = workspace.settings.bot_user_id
    add = workspace.add_user
    add("U0ALICE", name="alice", real_name="Alice Moreau", title="Finance lead", tz="Europe/Paris")
    add("U0BOB", name="bob", real_name="Bob Okafor", title="Finance", tz="Africa/Lagos")
    add("U0CAROL", name="carol", real_name="Carol Jensen", title="Finance", tz="America/New_York")
    add("U0OWNER", name="oliver", real_name="Oliver Brandt", title="Support, owns refund-bot", tz="Europe/Berlin")
    add("U0ADMIN", name="ada", real_name="Ada Silva", title="Security", tz="Europe/Lisbon")
    add("U0SAM", name="sam", real_name="Sam Tanaka", title="Sales", tz="Asia/Tokyo")
    add("U0GUEST", name="gus", real_name="Gus Weber", title="Contractor (guest)", is_restricted=True)
    add("U0PAT", name="pat", real_name="Pat Larsen", title="At the partner company", team_id=PARTNER_TEAM)
    workspace.add_usergroup("S0FINANCE", handle="finance", name="Finance", users=["U0ALICE", "U0BOB", "U0CAROL"])
    staff = ["U0ALICE", "U0BOB", "U0CAROL", "U0OWNER", "U0ADMIN", "U0SAM", bot]
    workspace.add_channel("C0REFUNDS", name="refunds", members=[*staff, "U0GUEST"], topic="Money going back")
    workspace.add_channel("C0OPS", name="ops", members=["U0ALICE", "U0OWNER", "U0ADMIN", bot], topic="Operations")
    workspace.add_channel("C0GENERAL", name="general", members=[u for u in staff if u != bot])
    workspace.add_channel(
        "C0PARTNERS",
        name="partners",
        members=["U0ALICE", "U0SAM", "U0PAT", bot],
        is_ext_shared=True,
        shared_team_ids=[PARTNER_TEAM],
        topic="Shared with the partner company",
    )
    for person in ("U0ALICE", "U0BOB", "U0CAROL", "U0OWNER", "U0ADMIN"):
        workspace.dm(person)


def sample_presets() -> tuple[Preset, ...]:
    """Calls to send from the agent's console: a refund, an e-mail, a very long call, a forbidden one."""
    return (
        Preset(
            key="refund",
            label="Refund a customer",
            explain="A small refund that a person from finance should look at.",
            tool="issue_refund",
            server="payments",
            arguments_text=_json(
                {
                    "order": "A-10482",
                    "customer": "m.ibrahim@example.com",
                    "amount": 129.90,
                    "currency": "EUR",
                    "reason": "Parcel arrived damaged; photo attached to ticket 5531",
                }
            ),
            reasoning="The photo shows the broken lid and the order is within 30 days, so our policy covers it.",
            result="Refund re_20418 created: EUR 129.90 to m.ibrahim@example.com",
        ),
        Preset(
            key="email",
            label="E-mail 4 000 customers",
            explain="One call that many people outside will notice.",
            tool="send_email",
            server="mail",
            arguments_text=_json(
                {
                    "from": "support@example.com",
                    "to_list": "customers-eu-active",
                    "recipients": 4000,
                    "subject": "We have changed how refunds work",
                    "body": "Hello {first_name},\n\nfrom 1 December refunds are paid within two working days.\n\n"
                    "Your support team",
                }
            ),
            reasoning="Marketing asked in ticket 5540 for the change to be announced before the weekend.",
            timeout="30m",
            result="4000 messages queued on list customers-eu-active",
        ),
        Preset(
            key="long",
            label="A very long call",
            explain="200 refunds at once: too long for a card, so it has to be reviewed page by page.",
            tool="issue_refund",
            server="payments",
            arguments_text=_json({"batch": "2026-11-recall", "refunds": _many_refunds()}),
            reasoning="Every order of the recalled lot gets its money back.",
            timeout="1h",
            result="200 refunds created",
        ),
        Preset(
            key="forbidden",
            label="Something no rule allows",
            explain="Denied at once: nobody is asked, and the agent is told why.",
            tool="delete_customer",
            server="crm",
            arguments_text=_json({"customer": "m.ibrahim@example.com", "purge": True}),
            reasoning="The customer asked to be forgotten.",
            result="Customer deleted",
        ),
    )


def _many_refunds() -> list[dict[str, object]]:
    return [
        {
            "order": f"A-{10_500 + number}",
            "customer": f"customer{number:03}@example.com",
            "amount": 19 + number % 7 * 10,
            "currency": "EUR",
        }
        for number in range(200)
    ]


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
