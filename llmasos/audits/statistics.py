"""Statistics of paired observations, seeded and without a library."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from random import Random
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

_NORMAL = NormalDist()
_RESAMPLES = 4000
_SHUFFLES = 10_000
_EXACT = 12


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def bootstrap(differences: Sequence[float], seed: str, level: float = 0.95) -> Interval:
    """Return the interval of the mean of paired differences, by the bootstrap (BCa, Efron 1987).

    Args:
        differences: One number for each pair, at least two.
        seed: The same seed gives the same interval.
        level: The confidence.
    """
    mean = sum(differences) / len(differences)
    if min(differences) == max(differences):
        return Interval(mean, mean)
    n = len(differences)
    random = Random(seed)  # noqa: S311
    means = sorted(sum(random.choices(differences, k=n)) / n for _ in range(_RESAMPLES))
    below = sum(one < mean for one in means) + sum(one == mean for one in means) / 2
    bias = _NORMAL.inv_cdf(min(max(below / _RESAMPLES, 1 / _RESAMPLES), 1 - 1 / _RESAMPLES))
    # Without one value, the mean moves against it; the skewness of these moves is the acceleration.
    moves = [(one - mean) / (n - 1) for one in differences]
    skew = sum(move**3 for move in moves) / (6 * sum(move**2 for move in moves) ** 1.5)

    def quantile(share: float) -> float:
        z = bias + _NORMAL.inv_cdf(share)
        at = _NORMAL.cdf(bias + z / (1 - skew * z)) if skew * z < 1 else share
        return means[min(max(round(at * _RESAMPLES), 0), _RESAMPLES - 1)]

    edge = (1 - level) / 2
    return Interval(quantile(edge), quantile(1 - edge))


def sign_flips(differences: Sequence[float], seed: str) -> float:
    """Return how likely a mean as far from zero is when each difference is as likely with the other sign.

    Exact for few pairs that differ; else from shuffles, of which the real one counts as one.
    """
    moved = [one for one in differences if one]
    total = sum(moved)
    reached = abs(total) * (1 - 1e-12)

    def flipped(chosen: Sequence[int]) -> float:
        return abs(total - 2 * sum(itertools.compress(moved, chosen)))

    if len(moved) <= _EXACT:
        hits = sum(flipped(chosen) >= reached for chosen in itertools.product((0, 1), repeat=len(moved)))
        return hits / float(2 ** len(moved))
    random = Random(seed)  # noqa: S311
    hits = sum(flipped(random.choices((0, 1), k=len(moved))) >= reached for _ in range(_SHUFFLES))
    return (hits + 1) / (_SHUFFLES + 1)


def mcnemar(only_left: int, only_right: int) -> float:
    """Return the exact two-sided p of McNemar's test, from the pairs in which only one side has it."""
    n = only_left + only_right
    hits = sum(math.comb(n, k) for k in range(min(only_left, only_right) + 1))
    return min(1.0, float(2 * hits / 2**n))


def wilson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Return the interval of a share (Wilson 1927)."""
    z = _NORMAL.inv_cdf((1 + level) / 2)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(middle - half if hits else 0.0, middle + half if hits < n else 1.0)


def newcombe(both: int, only_left: int, only_right: int, neither: int) -> Interval:
    """Return the interval of the right side's share less the left's, in pairs (Newcombe 1998, method 10)."""
    n = both + only_left + only_right + neither
    left, right = both + only_left, both + only_right
    low_left, high_left = wilson(left, n)
    low_right, high_right = wilson(right, n)
    p, q = left / n, right / n
    product = left * right * (n - left) * (n - right)
    crossed = float(both * neither - only_left * only_right)
    if crossed > 0:
        crossed = max(crossed - n / 2, 0.0)
    phi = crossed / math.sqrt(product) if product else 0.0

    def reach(down: float, up: float) -> float:
        return math.sqrt(max(0.0, down * down - 2 * phi * down * up + up * up))

    difference = q - p
    return Interval(
        difference - reach(q - low_right, high_left - p),
        difference + reach(high_right - q, p - low_left),
    )


def newcombe_apart(hits: int, n: int, other_hits: int, other_n: int) -> Interval:
    """Return the interval of a share less another one, of separate samples (Newcombe 1998, method 10)."""
    p, q = hits / n, other_hits / other_n
    low, high = wilson(hits, n)
    other_low, other_high = wilson(other_hits, other_n)
    return Interval(p - q - math.hypot(p - low, other_high - q), p - q + math.hypot(high - p, q - other_low))


def fisher(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Return the exact two-sided p of two shares of separate samples being one."""
    total = hits + other_hits
    ways = [
        math.comb(n, k) * math.comb(other_n, total - k)
        for k in range(max(0, total - other_n), min(n, total) + 1)
    ]
    seen = math.comb(n, hits) * math.comb(other_n, other_hits)
    return sum(way for way in ways if way <= seen) / sum(ways)


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values that allow for how many there are (Holm 1979), in the same order."""
    adjusted = [1.0] * len(values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted


def detectable_share(n: int, alpha: float, power: float = 0.8) -> float | None:
    """Return the least share of pairs in which only one side, always the same, has it, that n pairs show.

    None when not even all of them would be enough.
    """
    needed = next((k for k in range(1, n + 1) if 2 / 2**k <= alpha), None)
    if needed is None:
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        reached = sum(_chance(k, n, middle) for k in range(needed, n + 1))
        low, high = (low, middle) if reached >= power else (middle, high)
    return high


def _chance(k: int, n: int, share: float) -> float:
    """Return how likely k of n are, in logarithms: the ways alone are more than a float holds."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))


def detectable_mean(differences: Sequence[float], alpha: float, power: float = 0.8) -> float | None:
    """Return the least mean difference that as many pairs, as far apart as these, show.

    None when no number could show it, because there are too few pairs or they do not differ at all.
    """
    n = len(differences)
    spread = stdev(differences) if n > 1 else 0.0
    if 2 / 2**n > alpha or not spread:
        return None
    return (_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)) * spread / math.sqrt(n)


def standardised(differences: Sequence[float]) -> float:
    """Return the mean difference in standard deviations of the differences (Cohen's d of pairs)."""
    spread = stdev(differences)
    return fmean(differences) / spread if spread else 0.0
