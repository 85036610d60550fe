"""The scenarios whose rounds the long form plays (``python -m tests.faults``), and the suite a few of."""

from dataclasses import dataclass

from tests.faults.clock_rounds import clock_jumps
from tests.faults.doubt_rounds import database_fails
from tests.faults.dying_sweep import statements_die
from tests.faults.kill_rounds import one_killed, one_of_two_killed, server_killed
from tests.faults.lines_rounds import lines_fail
from tests.faults.outage_rounds import slack_is_out
from tests.faults.slack_rounds import slack_fails
from tests.faults.stage import POSTGRESQL, SQLITE, Round


@dataclass(frozen=True)
class Scenario:
    """Rounds of one sort on one kind of database."""

    name: str
    kind: str
    round: Round
    in_suite: int
    """How many seeds the suite plays."""

    def __str__(self) -> str:
        return f"{self.name}, {self.kind}"


SCENARIOS = [
    Scenario("killed at each statement of a step", SQLITE, statements_die, 1),
    Scenario("killed at each statement of a step", POSTGRESQL, statements_die, 0),
    Scenario("the process killed", SQLITE, one_killed, 3),
    Scenario("the process killed", POSTGRESQL, one_killed, 2),
    Scenario("one of two replicas killed", POSTGRESQL, one_of_two_killed, 1),
    Scenario("PostgreSQL itself killed", POSTGRESQL, server_killed, 0),
    Scenario("the database fails", SQLITE, database_fails, 2),
    Scenario("the database fails", POSTGRESQL, database_fails, 2),
    Scenario("three of ten calls to Slack fail", SQLITE, slack_fails, 2),
    Scenario("three of ten calls to Slack fail", POSTGRESQL, slack_fails, 1),
    Scenario("Slack is out for two hours", SQLITE, slack_is_out, 1),
    Scenario("Slack is out for two hours", POSTGRESQL, slack_is_out, 0),
    Scenario("Slack's lines fail", SQLITE, lines_fail, 1),
    Scenario("Slack's lines fail, two replicas", POSTGRESQL, lines_fail, 1),
    Scenario("the clock jumps", SQLITE, clock_jumps, 2),
    Scenario("the clock jumps", POSTGRESQL, clock_jumps, 1),
]
