"""Noise, clipping and the budget of differential privacy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flwr.app import Message

from llmasos.federated.plan import Privacy
from llmasos.federated.privacy import (
    budget,
    clipped,
    disguised,
    gaussian_epsilon,
    release,
    sampled_epsilon,
    secret_normals,
)
from llmasos.federated.strategies import Guarded, choose, restore, state_of
from llmasos.federated.weights import Weights, weights_sha256
from tests.federated.strategies.conftest import FakeGrid, clients, identity, moved, plan, play, small

assert identity  # a fixture for all tests here


def seeded(seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal


def silent(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return np.zeros(shape)


# The accountant


def exact_delta(epsilon: float, noise: float) -> float:
    """Return delta of one release by theorem 8 of Balle and Wang 2018, which is exact."""

    def phi(value: float) -> float:
        return math.erfc(-value / math.sqrt(2)) / 2

    return phi(1 / (2 * noise) - epsilon * noise) - math.exp(epsilon) * phi(
        -1 / (2 * noise) - epsilon * noise
    )


@pytest.mark.parametrize("noise", [0.8, 1.0, 3.730632, 6.0])
def test_one_release_costs_little_more_than_the_exact_gaussian_mechanism(noise: float) -> None:
    # 3.730632 is the least deviation for epsilon 1 and delta 1e-5.
    if noise == 3.730632:
        assert exact_delta(1.0, noise) == pytest.approx(1e-5, rel=1e-4)
    told = gaussian_epsilon(noise, 1e-5, 1)
    assert exact_delta(told, noise) <= 1e-5 < exact_delta(told / 1.15, noise)


def by_hand(noise: float, delta: float, releases: int) -> float:
    """Return epsilon by proposition 12 of Canonne, Kamath and Steinke 2020, over a fine grid of orders."""
    orders = np.concatenate([np.arange(1.01, 20, 0.01), np.arange(20, 600, 1)])
    renyi = releases * orders / (2 * noise**2)
    return float(np.min(renyi + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)))


@pytest.mark.parametrize(("noise", "releases"), [(1.0, 1), (1.0, 20), (4.0, 100), (0.5, 3), (8.0, 1000)])
def test_releases_add_up_as_the_formula_says(noise: float, releases: int) -> None:
    assert gaussian_epsilon(noise, 1e-5, releases) == pytest.approx(by_hand(noise, 1e-5, releases), rel=2e-3)


def test_many_releases_are_one_with_less_noise() -> None:
    assert gaussian_epsilon(6.0, 1e-6, 9) == pytest.approx(gaussian_epsilon(2.0, 1e-6, 1))
    assert gaussian_epsilon(1.0, 1e-5, 0) == 0


def test_secret_sampling_of_all_is_no_sampling_and_of_few_costs_less() -> None:
    privacy = Privacy(kind="central", noise=2.0)
    everyone = sampled_epsilon(privacy, 100, 100, 10)
    assert everyone == pytest.approx(gaussian_epsilon(1.0, 1e-5, 10))
    costs = [sampled_epsilon(privacy, 100, count, 10) for count in (50, 10, 1)]
    assert everyone > costs[0] > costs[1] > costs[2] > 0


def test_secret_sampling_costs_what_the_theorem_says() -> None:
    # Theorem 27 of Wang, Balle and Kasiviswanathan 2019 at order 2: log(1 + q^2 min(4 (e^v - 1), 2 e^v)).
    from dp_accounting import dp_event, rdp
    from dp_accounting.privacy_accountant import NeighboringRelation

    accountant = rdp.RdpAccountant([2.0], NeighboringRelation.REPLACE_ONE)
    accountant.compose(dp_event.SampledWithoutReplacementDpEvent(100, 10, dp_event.GaussianDpEvent(2.0)))
    renyi = math.log1p(0.1**2 * min(4 * math.expm1(1 / 4), 2 * math.exp(1 / 4)))
    expected = renyi + math.log1p(-1 / 2) - (math.log(1e-5) + math.log(2))
    assert accountant.get_epsilon(1e-5) == pytest.approx(expected)


# The budget


def test_a_plan_without_privacy_has_no_budget() -> None:
    assert budget(plan()) is None


def test_before_a_run_the_budget_is_for_all_rounds() -> None:
    made = plan(rounds=20, privacy={"kind": "central", "noise": 4.0, "delta": 1e-6})
    before = budget(made)
    assert before is not None and before.hidden is None
    assert (before.epsilon, before.delta, before.releases) == (gaussian_epsilon(4.0, 1e-6, 20), 1e-6, 20)


def test_what_is_hidden_from_who_does_not_know_the_clients_is_told_apart() -> None:
    made = plan(clients=1000, sample=0.01, rounds=100, privacy={"kind": "central", "noise": 2.0})
    before = budget(made)
    assert before is not None and before.hidden is not None
    assert before.hidden < 2 < 30 < before.epsilon


def test_a_client_that_adds_its_own_noise_is_held_against_any_other() -> None:
    made = plan(rounds=3, privacy={"kind": "local", "noise": 4.0})
    before = budget(made)
    assert before is not None and before.epsilon == gaussian_epsilon(2.0, 1e-5, 3)


# Clipping and noise


def test_secret_numbers_are_normal_and_differ() -> None:
    drawn = secret_normals((200, 500))
    assert drawn.shape == (200, 500) and not np.array_equal(drawn, secret_normals((200, 500)))
    # Each bound is more than six standard errors wide.
    assert abs(drawn.mean()) < 0.02 and abs(drawn.var() - 1) < 0.03
    assert abs((drawn**3).mean()) < 0.08 and abs((drawn**4).mean() - 3) < 0.2
    assert abs(np.mean(np.abs(drawn) < 1) - 0.6827) < 0.01
    assert secret_normals(()).shape == () and secret_normals((0, 3)).shape == (0, 3)


def test_an_update_is_clipped_as_one_vector() -> None:
    start = small()
    update = clipped(moved(start, 3.0), start, 1.5)
    assert math.sqrt(sum(float(np.sum(part**2)) for part in update.values())) == pytest.approx(1.5)
    assert update["steps"] == 0
    short = clipped(moved(start, 0.1), start, 1.5)
    assert short["b"] == pytest.approx(np.full(3, 0.1))
    assert not clipped(start, start, 1.0)["a"].any()


def test_a_release_is_the_clipped_mean_plus_noise_in_proportion() -> None:
    start: Weights = {"w": np.zeros(100_000)}
    privacy = Privacy(kind="central", noise=2.0, clip=3.0)
    exact = release([start] * 4, start, privacy, 4, silent)
    noisy = release([start] * 4, start, privacy, 4, seeded())
    assert not exact["w"].any()
    assert float(np.std(noisy["w"])) == pytest.approx(2.0 * 3.0 / 4, rel=0.01)


def test_leaving_one_client_out_changes_a_release_by_no_more_than_the_bound() -> None:
    start = small()
    draw = np.random.default_rng(4)
    updates = [
        {n: (a + draw.standard_normal(a.shape) * 9).astype(a.dtype) for n, a in start.items()}
        for _ in range(9)
    ]
    privacy = Privacy(kind="central", clip=0.7)
    whole = release(updates, start, privacy, 9, silent)
    for left in range(9):
        rest = release(updates[:left] + updates[left + 1 :], start, privacy, 9, silent)
        change = math.sqrt(sum(float(np.sum((whole[name] - rest[name]) ** 2)) for name in start))
        assert change <= 0.7 / 9 + 1e-12


def test_a_client_sends_its_own_noise_in_the_models_types() -> None:
    start = small()
    privacy = Privacy(kind="local", noise=2.0, clip=3.0)
    sent = disguised(moved(start, 100.0), start, privacy)
    other = disguised(moved(start, 100.0), start, privacy)
    assert [array.dtype for array in sent.values()] == [array.dtype for array in start.values()]
    assert sent["steps"] == start["steps"] and not np.array_equal(sent["a"], other["a"])


# Together with the guard


def private(kind: str, seed: int | None = 0, **given: Any) -> Guarded:
    privacy = {"kind": kind, "noise": 0.5, "clip": 1.0}
    made = plan(**{"privacy": privacy, **given})
    return Guarded(choose(made), made, small(), **({} if seed is None else {"draw": seeded(seed)}))


def nudge(weights: Weights, node: int) -> Weights:
    return moved(weights, 0.01 * node)


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedadam", "fedyogi"])
def test_the_same_noise_makes_the_same_model_and_secret_noise_does_not(name: str) -> None:
    grid = FakeGrid(range(1, 11), clients(nudge))

    def hash_of(seed: int | None) -> str:
        return weights_sha256(play(private("central", seed, strategy={"name": name}), grid, small(), 1))

    assert hash_of(0) == hash_of(0)
    assert len({hash_of(0), hash_of(1), hash_of(None), hash_of(None)}) == 4


def test_a_hostile_client_moves_a_private_model_by_its_clip_at_most() -> None:
    def train(weights: Weights, node: int) -> Weights:
        return moved(weights, 1e6 if node == 1 else 0.0)

    guard = private("central")
    guard.draw = silent
    made = play(guard, FakeGrid(range(1, 11), clients(train)), small(), 1)
    assert len(guard.verdict.participants) == 10 and not guard.verdict.rejected
    change = math.sqrt(sum(float(np.sum((made[n] - a.astype(float)) ** 2)) for n, a in small().items()))
    assert change == pytest.approx(0.1, rel=1e-3)
    assert {one.update_sha256 for one in guard.verdict.participants} == {""}


def test_no_client_decides_over_others_by_the_median_of_the_norms() -> None:
    def train(weights: Weights, node: int) -> Weights:
        return moved(weights, 5.0 if node == 1 else 0.01)

    central, none = private("central"), private("none")
    for guard in (central, none):
        play(guard, FakeGrid(range(1, 11), clients(train)), small(), 1)
    assert not central.verdict.rejected and len(none.verdict.rejected) == 1


def test_what_fedadam_remembers_is_private_too() -> None:
    # Its first moment is of the noisy mean: with another noise, another moment.
    grid = FakeGrid(range(1, 11), clients(nudge))
    moments = []
    for seed in (0, 1):
        guard = private("central", seed, strategy={"name": "fedadam"})
        play(guard, grid, small(), 1)
        moments.append(state_of(guard).weights["m_t/b"])
    assert not np.allclose(moments[0], moments[1])


def test_the_budget_is_told_after_each_round_by_the_rounds_of_the_busiest_client() -> None:
    guard = private("central", sample=0.3, guard={"failed_rounds": 5})
    grid = FakeGrid(range(1, 11), clients(nudge))
    weights, spent = small(), []
    for number in range(1, 6):
        weights = play(guard, grid, weights, number)
        assert guard.verdict.budget is not None
        spent.append(guard.verdict.budget)
    assert spent[0].epsilon == gaussian_epsilon(0.5, 1e-5, 1)
    assert spent[-1].releases == max(guard.taken.values()) < 6
    assert sum(guard.taken.values()) == 15

    grid.answer = lambda message: None
    play(guard, grid, weights, 6)
    assert guard.verdict.budget == spent[-1]

    other = private("central", sample=0.3)
    restore(other, state_of(guard))
    assert other.spent() == spent[-1]


def test_who_is_asked_is_a_secret_with_central_privacy() -> None:
    def asked() -> tuple[int, ...]:
        guard = private("central", clients=1000, sample=0.02)
        grid = FakeGrid(range(1, 1001), clients(nudge))
        play(guard, grid, small(), 1)
        return tuple(message.metadata.dst_node_id for message in grid.sent)

    assert asked() != asked()


def test_a_locally_private_update_is_spent_once_it_was_asked_for() -> None:
    guard = private("local")

    def answer(message: Message) -> Message | None:
        return clients(nudge)(message) if message.metadata.dst_node_id > 6 else None

    play(guard, FakeGrid(range(1, 11), answer), small(), 1)
    assert not guard.verdict.counted and guard.verdict.budget is not None
    assert guard.verdict.budget.epsilon == gaussian_epsilon(0.25, 1e-5, 1)
