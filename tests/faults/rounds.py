"""How long the tests of faults run: a few seeds each in the suite, as many as one likes by hand.

``SIGNOFF_FAULT_SEEDS=100-199 pytest tests/faults`` runs a hundred others; where it was broken off, go on from the seed
that was running. What takes longer than a test may (pyproject.toml) also wants ``-o faulthandler_timeout=3600``.
"""

import os

import pytest


def examples(short: int) -> int:
    """How many examples a property is tried on: ``short`` of them, or that many for each seed asked for."""
    return short * len(asked_for() or [0])


def seeds(short: int) -> pytest.MarkDecorator:
    """Run a test with each seed: ``short`` of them, unless ``SIGNOFF_FAULT_SEEDS`` names others."""
    return pytest.mark.parametrize("seed", asked_for() or range(short))


def asked_for() -> range | None:
    asked = os.environ.get("SIGNOFF_FAULT_SEEDS")
    if not asked:
        return None
    first, _, last = asked.partition("-")
    return range(int(first), int(last or first) + 1)
