"""The statistics, beside published examples and their own definitions."""

import math
from random import Random

import pytest

from llmasos.audits import statistics


def test_the_interval_of_paired_shares_is_the_published_one() -> None:
    # Newcombe (1998), Statistics in Medicine 17, p. 2635: tables of method 10.
    low, high = statistics.newcombe(both=36, only_left=12, only_right=2, neither=0)
    assert (round(-high, 4), round(-low, 4)) == (0.0569, 0.3404)
    low, high = statistics.newcombe(both=54, only_left=0, only_right=0, neither=0)
    assert round(-low, 4) == round(high, 4) == 0.0664


def test_the_interval_of_separate_shares_is_the_published_one() -> None:
    # Newcombe (1998), Statistics in Medicine 17, p. 873: 56 of 70 less 48 of 80, method 10.
    low, high = statistics.newcombe_apart(56, 70, 48, 80)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_the_interval_of_a_share_is_the_published_one() -> None:
    assert [round(end, 4) for end in statistics.wilson(81, 263)] == [0.2553, 0.3662]
    assert statistics.wilson(0, 10).low == 0 and statistics.wilson(10, 10).high == 1


@pytest.mark.parametrize(
    ("left", "right", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 6, 0.03125), (12, 2, 0.012939453125)]
)
def test_the_exact_test_of_pairs_is_a_binomial_one(left: int, right: int, p: float) -> None:
    assert statistics.mcnemar(left, right) == statistics.mcnemar(right, left) == pytest.approx(p)


def test_fishers_test_knows_the_lady_who_tasted_tea() -> None:
    assert statistics.fisher(3, 4, 1, 4) == pytest.approx(34 / 70)
    assert statistics.fisher(4, 4, 0, 4) == pytest.approx(2 / 70)
    assert statistics.fisher(0, 5, 0, 9) == 1


def test_sign_flips_are_counted_exactly_for_few_and_by_chance_for_many() -> None:
    assert statistics.sign_flips([0.0, 0.0], "s") == 1
    assert statistics.sign_flips([1.0, 2.0, 3.0, 0.0], "s") == pytest.approx(2 / 8)
    many = [0.3] * 20
    assert statistics.sign_flips(many, "s") == statistics.sign_flips(many, "s") < 0.001
    even = [(-1.0) ** place for place in range(20)]
    assert statistics.sign_flips(even, "s") == 1


def test_the_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    random = Random(5)
    covered = 0
    for trial in range(40):
        sample = [random.gauss(0.5, 1) for _ in range(25)]
        low, high = statistics.bootstrap(sample, str(trial))
        covered += low <= 0.5 <= high
    assert covered >= 33


def test_the_bootstrap_repeats_itself_and_stays_within_the_data() -> None:
    data = [0.0, 0.0, 1.0, 4.0, 9.0]
    assert statistics.bootstrap(data, "a") == statistics.bootstrap(data, "a")
    low, high = statistics.bootstrap(data, "a")
    assert 0 <= low < sum(data) / 5 < high <= 9
    assert statistics.bootstrap([2.0, 2.0], "a") == (2.0, 2.0)


def test_holm_allows_for_all_and_keeps_the_order() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0] and statistics.holm([]) == []


def test_what_so_many_pairs_can_show_follows_from_their_number() -> None:
    assert statistics.detectable_share(5, 0.05) is None
    six = statistics.detectable_share(6, 0.05)
    assert six == pytest.approx(0.8 ** (1 / 6))
    shares = [statistics.detectable_share(n, 0.05) or math.inf for n in (6, 20, 100, 5000)]
    assert shares == sorted(shares, reverse=True)
    spread = [1.0, -1.0] * 50
    assert statistics.detectable_mean(spread, 0.05) == pytest.approx(2.8016 * 0.10050, rel=1e-3)
    assert statistics.detectable_mean([0.0] * 100, 0.05) is None
    assert statistics.detectable_mean([1.0, 2.0], 0.05) is None
    assert statistics.standardised([1.0, 1.0]) == 0 and statistics.standardised([0.0, 2.0]) > 0
