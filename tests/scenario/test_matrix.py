"""Everybody at every door: one table of who comes to what, read by eye, tried in both of Slack's modes.

Each mode takes every other square, as on a chessboard: each role and each door is tried in both, and each square in
one. ``SIGNOFF_FAULT_SEEDS`` tries every square in both.
"""

from pathlib import Path

import pytest

from playground import Playground, PlaygroundSettings
from tests.faults.rounds import asked_for
from tests.scenario.matrix_support import CHANNEL, COPIES, ENTRIES, HELPER, Desk
from tests.scenario.slack_support import running_bot

# Whoever may not decide is named by the rule, or in its user group, or both: it is never for want of being named.
RULES = """
[server]
public_url = "http://127.0.0.1:8080"
[store]
url = "sqlite:///signoff.db"
[admins]
users = ["U0ADMIN", "U0OLGA"]
[agents.refund-bot]
owners = ["U0OWNER", "U0OLGA"]
tools = ["*"]
[reviewers.finance]
users = ["U0ALICE", "U0CAROL", "U0OWNER", "U0OLGA", "U0IVY", "U0GUEST", "U0ROBOT", "U0DAN", "U0PAT", "U0NOBODY",
         "U0MEG", "U0MAX", "U0HELEN"]
usergroups = ["S0FINANCE"]
[[rules]]
name = "refunds"
agent = "refund-bot"
tool = "issue_refund"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
[[rules]]
name = "reasoned"
agent = "refund-bot"
tool = "send_reasoned"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
reason = "required"
[[rules]]
name = "two"
agent = "refund-bot"
tool = "send_two"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
quorum = 2
[[rules]]
name = "planned"
agent = "refund-bot"
tool = "send_planned"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
plan = "later"
[[plans.later.steps]]
after = "50%"
notify = ["thread"]
"""

ROLES = {
    "by_user": "U0ALICE",  # named, not in the group
    "by_group": "U0BOB",  # in the group, not named
    "by_both": "U0CAROL",
    "owner": "U0OWNER",  # named and in the group, as are all below but the admin and the bystander
    "owner_admin": "U0OLGA",
    "person": "U0IVY",  # whom the instance was made for
    "admin": "U0ADMIN",
    "bystander": "U0SAM",  # in the card's channel
    "namesake": "U0TWIN",  # in the channel, with Alice's name
    "guest": "U0GUEST",
    "bot": "U0ROBOT",
    "deactivated": "U0DAN",
    "foreign_team": "U0PAT",
    "nobody": "U0NOBODY",  # unknown to Slack
}

TABLE = """
              approve         deny            review          form            change
by_user       done            done            done            done            done
by_group      done            done            done            done            done
by_both       done            done            done            done            done
owner         owner           owner           owner           owner           owner
owner_admin   owner           owner           owner           owner           owner
person        own_instance    own_instance    own_instance    own_instance    own_instance
admin         not_a_reviewer  not_a_reviewer  not_a_reviewer  not_a_reviewer  not_a_reviewer
bystander     not_a_reviewer  not_a_reviewer  not_a_reviewer  not_a_reviewer  not_a_reviewer
namesake      not_a_reviewer  not_a_reviewer  not_a_reviewer  not_a_reviewer  not_a_reviewer
guest         guest           guest           not_visible     guest           guest
bot           bot             bot             not_visible     bot             bot
deactivated   deactivated     deactivated     not_visible     deactivated     deactivated
foreign_team  foreign_team    foreign_team    not_visible     foreign_team    foreign_team
nobody        unknown_person  unknown_person  not_visible     unknown_person  unknown_person

              withdraw  standing   reopen          home            slash   copy            claim
by_user       done      done       done            done            shown   done            done
by_group      done      done       done            done            shown   done            done
by_both       done      done       done            done            shown   done            done
owner         no_vote   not_taken  owner           owner           shown   owner           owner
owner_admin   no_vote   not_taken  owner           owner           shown   owner           owner
person        no_vote   not_taken  own_instance    own_instance    shown   own_instance    own_instance
admin         no_vote   not_taken  not_a_reviewer  not_a_reviewer  shown   not_a_reviewer  not_a_reviewer
bystander     no_vote   not_taken  not_a_reviewer  not_a_reviewer  shown   not_a_reviewer  not_a_reviewer
namesake      no_vote   not_taken  not_a_reviewer  not_a_reviewer  shown   not_a_reviewer  not_a_reviewer
guest         no_vote   not_taken  guest           not_visible     hidden  guest           guest
bot           no_vote   not_taken  bot             not_visible     hidden  bot             bot
deactivated   no_vote   not_taken  deactivated     not_visible     hidden  deactivated     deactivated
foreign_team  no_vote   not_taken  foreign_team    not_visible     hidden  foreign_team    foreign_team
nobody        no_vote   not_taken  unknown_person  not_visible     hidden  unknown_person  unknown_person

              revoke          report          reverse         force
by_user       done            done            done            not_an_admin
by_group      done            done            done            not_an_admin
by_both       done            done            done            not_an_admin
owner         done            done            owner           not_an_admin
owner_admin   done            done            owner           owner_forces
person        done            done            own_instance    not_an_admin
admin         done            done            not_a_reviewer  done
bystander     not_theirs      not_theirs      not_a_reviewer  not_an_admin
namesake      not_theirs      not_theirs      not_a_reviewer  not_an_admin
guest         guest           guest           guest           guest
bot           bot             bot             bot             bot
deactivated   deactivated     deactivated     deactivated     deactivated
foreign_team  foreign_team    foreign_team    foreign_team    foreign_team
nobody        unknown_person  unknown_person  unknown_person  unknown_person

              value    ts       message  others_form  others_review
by_user       no_card  no_card  no_card  no_form      no_form
by_group      no_card  no_card  no_card  no_form      no_form
by_both       no_card  no_card  no_card  no_form      no_form
owner         no_card  no_card  no_card  no_form      no_form
owner_admin   no_card  no_card  no_card  no_form      no_form
person        no_card  no_card  no_card  no_form      no_form
admin         no_card  no_card  no_card  no_form      no_form
bystander     no_card  no_card  no_card  no_form      no_form
namesake      no_card  no_card  no_card  no_form      no_form
guest         no_card  no_card  no_card  no_form      no_form
bot           no_card  no_card  no_card  no_form      no_form
deactivated   no_card  no_card  no_card  no_form      no_form
foreign_team  no_card  no_card  no_card  no_form      no_form
nobody        no_card  no_card  no_card  no_form      no_form
"""

# On Enterprise Grid a team is a part of the organisation: whose person somebody is, is what counts.
GRID_ROLES = {
    "by_user": "U0ALICE",
    "other_workspace": "U0MEG",  # of the same enterprise
    "other_enterprise": "U0MAX",
}
GRID_TABLE = """
                  approve       deny          review       form          change
by_user           done          done          done         done          done
other_workspace   done          done          done         done          done
other_enterprise  foreign_team  foreign_team  not_visible  foreign_team  foreign_team

                  withdraw  standing   reopen        home         slash   copy            claim
by_user           done      done       done          done         shown   done            done
other_workspace   done      done       done          done         shown   done            done
other_enterprise  no_vote   not_taken  foreign_team  not_visible  hidden  foreign_team    foreign_team

                  revoke          report          reverse         force
by_user           done            done            done            not_an_admin
other_workspace   done            done            done            not_an_admin
other_enterprise  foreign_team    foreign_team    foreign_team    foreign_team

                  value    ts       message  others_form  others_review
by_user           no_card  no_card  no_card  no_form      no_form
other_workspace   no_card  no_card  no_card  no_form      no_form
other_enterprise  no_card  no_card  no_card  no_form      no_form
"""


def expected_of(table: str) -> dict[str, dict[str, str]]:
    """Read a table: what each role comes to at each entry."""
    expected: dict[str, dict[str, str]] = {}
    for part in table.strip("\n").split("\n\n"):
        head, *rows = [line.split() for line in part.splitlines()]
        for role, *cells in rows:
            expected.setdefault(role, {}).update(zip(head, cells, strict=True))
    return expected


def every_other(expected: dict[str, dict[str, str]], first: int) -> dict[str, dict[str, str]]:
    """Every other square of a table, beginning with its first or its second."""
    return {
        role: {name: cells[name] for at, name in enumerate(cells) if (row + at) % 2 == first}
        for row, (role, cells) in enumerate(expected.items())
    }


def arrange(slack: Playground) -> None:
    add = slack.workspace.add_user
    for user in (HELPER, "U0OLGA"):
        add(user)
    add("U0ROBOT", is_bot=True)
    alice = slack.workspace.user("U0ALICE")
    add("U0TWIN", name=alice.name, real_name=alice.real_name)
    slack.workspace.change_user("U0DAN", deleted=True)
    slack.workspace.set_usergroup_users(
        "S0FINANCE", ["U0BOB", "U0CAROL", "U0OWNER", "U0OLGA", "U0IVY", "U0GUEST", "U0ROBOT", "U0DAN", "U0PAT"]
    )
    if slack.settings.enterprise_id:
        add("U0MEG", team_id="T0OTHER", enterprise_id=slack.settings.enterprise_id)
        add("U0MAX", team_id="T0OTHER", enterprise_id="E0THEM")
    bot = slack.workspace.settings.bot_user_id
    slack.workspace.add_channel(COPIES, members=[HELPER, bot])
    for user in (
        HELPER,
        "U0OLGA",
        "U0ROBOT",
        "U0TWIN",
        "U0PAT",
        *(["U0MEG", "U0MAX"] * bool(slack.settings.enterprise_id)),
    ):
        slack.workspace.invite(CHANNEL, user)


@pytest.mark.parametrize("mode", ["socket", "http"])
@pytest.mark.parametrize("workspace", ["plain", "grid"])
async def test_everybody_at_every_door(database: Path, workspace: str, mode: str) -> None:
    roles, table = (ROLES, TABLE) if workspace == "plain" else (GRID_ROLES, GRID_TABLE)
    playground = PlaygroundSettings(enterprise_id="E0US" if workspace == "grid" else None)
    expected = expected_of(table)
    assert {role: set(cells) for role, cells in expected.items()} == {role: set(ENTRIES) for role in roles}
    if asked_for() is None:
        expected = every_other(expected, first=("socket", "http").index(mode))
    async with running_bot(database, mode=mode, text=RULES, playground=playground, arrange=arrange) as bot:
        instance, _ = await bot.service.instances.create("ivy's", "refund-bot", "U0IVY")
        desk = Desk(bot, instance)
        found: dict[str, dict[str, str]] = {}
        for role, user in roles.items():
            for name in expected[role]:
                try:
                    found.setdefault(role, {})[name] = await ENTRIES[name](desk, user)
                except Exception as error:
                    raise AssertionError(f"{role} at {name}: {error!r}") from error
                desk.forget(user)
                desk.forget(HELPER)
    assert found == expected
