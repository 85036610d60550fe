"""What so many rounds with so few failures say of the rounds that nobody ran."""

from math import exp, lgamma, log, log1p

CONFIDENCE = 0.95
_STEPS = 60  # of halving: finer than a float's last digit


def upper_bound(rounds: int, failures: int) -> float:
    """The chance of failure that is not exceeded, with 95 % confidence: Clopper and Pearson's, one-sided.

    Without failures that is about 3 / ``rounds``, the rule of three. 1 where nothing was tried.
    """
    if failures >= rounds:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_most(failures, rounds, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _at_most(failures: int, rounds: int, chance: float) -> float:
    """How probable no more than so many failures are."""
    return sum(
        exp(
            lgamma(rounds + 1) - lgamma(found + 1) - lgamma(rounds - found + 1)
            + found * log(chance) + (rounds - found) * log1p(-chance)
        )
        for found in range(failures + 1)
    )  # fmt: skip
