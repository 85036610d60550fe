"""What tests of the running service begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playground import Playground
from tests.scenario.agents_support import Api, running_api
from tests.scenario.service_support import playing


@pytest.fixture
async def slack() -> AsyncIterator[Playground]:
    """A Slack with the sample workspace, for services to be started in."""
    async with playing() as slack:
        yield slack


@pytest.fixture
async def api(database: Path) -> AsyncIterator[Api]:
    """The agents' API on a database of its own, without Slack."""
    async with running_api(database) as api:
        yield api
