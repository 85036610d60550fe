"""What a deciding transaction asks once, in place of one question after the other.

The conventions are those of ``store.statements``.
"""

from typing import NamedTuple

from sqlalchemy import exists, select
from sqlmodel import SQLModel

from store.compiled import Statement
from store.parameters import param
from store.statements import requests
from store.statements_ahead import standing_for_call
from store.statements_delivery import has_receiver

steps = SQLModel.metadata.tables["taken_steps"]


class Sequels(NamedTuple):
    """What a decision may have to be followed by. Usually nothing.

    ``has_receiver``: its instance is notified. ``took_steps``: its plan took steps, which may have called pagers.
    ``has_standing``: a vote was cast ahead for the same call of the same instance.
    """

    has_receiver: bool
    took_steps: bool
    has_standing: bool


SEQUELS = Statement(
    select(
        exists().where(*has_receiver).label("has_receiver"),
        exists().where(steps.c.request_number == param("number", requests.c.number)).label("took_steps"),
        exists().where(*standing_for_call).label("has_standing"),
    ),
    Sequels,
)
