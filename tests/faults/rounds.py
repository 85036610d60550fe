"""How long the tests of faults run: a few seeds each in the suite, as many as one likes by hand.

``SIGNOFF_FAULT_SEEDS=100-199 pytest tests/faults`` runs a hundred others; where it was broken off, go on from the seed
that was running.
"""

import os

import pytest


def seeds(short: int) -> pytest.MarkDecorator:
    """Run a test with each seed: ``short`` of them, unless ``SIGNOFF_FAULT_SEEDS`` names others."""
    asked = os.environ.get("SIGNOFF_FAULT_SEEDS")
    if not asked:
        return pytest.mark.parametrize("seed", range(short))
    first, _, last = asked.partition("-")
    return pytest.mark.parametrize("seed", range(int(first), int(last or first) + 1))
