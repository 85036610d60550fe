"""A local Slack for the demo, the tests and anyone who builds on Signoff.

Stands alone: it imports nothing of the bot, and the bot reaches it only as it would reach Slack. It is strict
where Slack is strict, so that a mistake shows here and not in production.
"""

from playground.agent import Preset, Run
from playground.blockkit import Problem, problems_of_blocks, problems_of_view
from playground.console import Console, ConsoleUnavailable
from playground.errors import NotThere, SlackRefusal
from playground.faults import Fault, Faults
from playground.model import Channel, Message, User, UserGroup, View
from playground.results import Ack, Call
from playground.server import Playground
from playground.settings import ALL_SCOPES, PlaygroundSettings
from playground.workspace import Workspace

__all__ = [
    "ALL_SCOPES",
    "Ack",
    "Call",
    "Channel",
    "Console",
    "ConsoleUnavailable",
    "Fault",
    "Faults",
    "Message",
    "NotThere",
    "Playground",
    "PlaygroundSettings",
    "Preset",
    "Problem",
    "Run",
    "SlackRefusal",
    "User",
    "UserGroup",
    "View",
    "Workspace",
    "problems_of_blocks",
    "problems_of_view",
]
