"""A small company for the demo: its people, user groups and channels.

The ids are those of `config.example.toml`. Nothing here knows what a rule says about them.
"""

from __future__ import annotations

from playground.workspace import Workspace

PARTNER_TEAM = "T0PARTNER"
_WORDS = (
    (
        "U0ADMIN",
        "From today our agents ask before they touch money, mail or production. Their cards go to <#C0REFUNDS>, "
        "<#C0SUPPORT>, <#C0OPS> and <#C0DEPLOYS>; who may decide stands on each.",
    ),
    ("U0DAN", "So nobody deploys on a Friday by accident any more?"),
    ("U0IVY", "By accident, no."),
)


def fill_sample(workspace: Workspace) -> None:
    """Adds the sample people, user group and channels."""
    bot = workspace.settings.bot_user_id
    add = workspace.add_user
    add("U0ALICE", name="alice", real_name="Alice Moreau", title="Finance lead", tz="Europe/Paris")
    add("U0BOB", name="bob", real_name="Bob Okafor", title="Finance", tz="Africa/Lagos")
    add("U0CAROL", name="carol", real_name="Carol Jensen", title="Finance, owns report-bot", tz="America/New_York")
    add("U0OWNER", name="oliver", real_name="Oliver Brandt", title="Support, owns refund-bot", tz="Europe/Berlin")
    add("U0MIA", name="mia", real_name="Mia Rossi", title="Support lead", tz="Europe/Rome")
    add("U0IVY", name="ivy", real_name="Ivy Nakamura", title="Infrastructure lead", tz="Europe/London")
    add("U0DAN", name="dan", real_name="Dan Petrov", title="Infrastructure, owns deploy-bot", tz="Europe/Sofia")
    add("U0ADMIN", name="ada", real_name="Ada Silva", title="Security", tz="Europe/Lisbon")
    add("U0SAM", name="sam", real_name="Sam Tanaka", title="Sales", tz="Asia/Tokyo")
    add("U0GUEST", name="gus", real_name="Gus Weber", title="Contractor (guest)", is_restricted=True)
    add("U0PAT", name="pat", real_name="Pat Larsen", title="At the partner company", team_id=PARTNER_TEAM)
    workspace.add_usergroup("S0FINANCE", handle="finance", name="Finance", users=["U0ALICE", "U0BOB", "U0CAROL"])
    workspace.add_usergroup("S0SUPPORT", handle="support", name="Support", users=["U0MIA", "U0OWNER"])
    workspace.add_usergroup("S0INFRA", handle="infrastructure", name="Infrastructure", users=["U0IVY", "U0DAN"])
    finance = ["U0ALICE", "U0BOB", "U0CAROL"]
    staff = [*finance, "U0OWNER", "U0MIA", "U0IVY", "U0DAN", "U0ADMIN", "U0SAM", bot]

    def channel(channel_id: str, name: str, members: list[str], topic: str = "") -> None:
        workspace.add_channel(channel_id, name=name, members=members, topic=topic)

    channel("C0REFUNDS", "refunds", [*staff, "U0GUEST"], "Money going back")
    channel("C0SUPPORT", "support", ["U0ALICE", "U0OWNER", "U0MIA", "U0ADMIN", bot], "What customers get from us")
    channel("C0OPS", "ops", ["U0ALICE", "U0OWNER", "U0IVY", "U0DAN", "U0ADMIN", bot], "Operations")
    channel("C0DEPLOYS", "deploys", ["U0ALICE", "U0IVY", "U0DAN", "U0ADMIN", bot], "What goes to production")
    channel("C0GENERAL", "general", [u for u in staff if u != bot])
    workspace.add_channel(
        "C0PARTNERS",
        name="partners",
        members=["U0ALICE", "U0SAM", "U0PAT", bot],
        is_ext_shared=True,
        shared_team_ids=[PARTNER_TEAM],
        topic="Shared with the partner company",
    )
    for person in ("U0ALICE", "U0BOB", "U0CAROL", "U0OWNER", "U0MIA", "U0IVY", "U0DAN", "U0ADMIN"):
        workspace.dm(person)
    _say_hello(workspace)


def _say_hello(workspace: Workspace) -> None:
    """Leaves a few words in #general, long since read."""
    general = workspace.channel("C0GENERAL")
    for person, text in _WORDS:
        workspace.post(general, user=person, text=text)
    for person in general.members:
        workspace.read(general.id, person)
