"""What tests of pauses share: a company with two agents, and everybody who may want to stop them."""

from collections.abc import Callable

from bot.decisions import Act
from bot.halt_rights import EVERYTHING, Target
from store.tables import HaltScope
from tests.conftest import SAMPLE, Town

Acts = Callable[..., Act]

AGENT = Target(HaltScope.AGENT, "refund-bot")
RULE = Target(HaltScope.RULE, "look-ups")
REFUNDS = Target(HaltScope.RULE, "refunds")
ALL = EVERYTHING

# The owner who is an admin owns the agent, too; the rule that approves by itself names whom it could ask.
COMPANY = (
    SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0ADMIN", "U0BOTH"]')
    .replace('owners = ["U0OWNER"]', 'owners = ["U0OWNER", "U0BOTH"]')
    .replace('stage = "autonomous"\n', 'stage = "autonomous"\nchannel = "C0REFUNDS"\nreviewers = ["finance"]\n')
    + """
[agents.mail-bot]
owners = ["U0OTHER"]
tools = ["send_*"]

[[rules]]
name = "mails"
agent = "mail-bot"
tool = "send_*"
stage = "autonomous"
"""
)

ALICE, BOB = "U0ALICE", "U0BOB"  # reviewers, by name and by user group
OWNER, BOTH, ADMIN = "U0OWNER", "U0BOTH", "U0ADMIN"
GUEST, GONE, ROBOT, FOREIGN = "U0GUEST", "U0GONE", "U0ROBOT", "U0FOREIGN"  # admins in the file, all of them
STRANGER, OTHER = "U0CAROL", "U0OTHER"  # members: of nothing here, and the owner of another agent


def with_everybody(town: Town) -> None:
    """Let everybody be known to Slack."""
    town.add(BOTH)
    town.add(OTHER)
    town.add(GUEST, is_guest=True)
    town.add(GONE, is_deactivated=True)
    town.add(ROBOT, is_bot=True)
    town.add(FOREIGN, team_id="T0ELSE")


UNFIT = (GUEST, GONE, ROBOT, FOREIGN)
UNFIT_ADMINS = COMPANY.replace('"U0ADMIN", "U0BOTH"', ", ".join(f'"{one}"' for one in (ADMIN, BOTH, *UNFIT)))
