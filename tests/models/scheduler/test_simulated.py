"""Our scheduler beside the rules of others, on short traces under a virtual clock."""

import pytest

from benchmarks.simulated import PEERS, Aios, LeastRecentlyUsed, Ollama, flood, many, third_model
from llmasos.models.scheduler.simulation import Outcome, Scheduled, SimAgent, SimEngine, Simulation
from llmasos.models.scheduler.types import Card, Client, Rules

SECONDS = 100.0


@pytest.fixture(scope="module")
def ours() -> Outcome:
    return third_model(SECONDS).ours()


@pytest.fixture(scope="module")
def peers() -> dict[str, Outcome]:
    return {name: third_model(SECONDS).run(peer()) for name, peer in PEERS.items()}


def test_a_third_model_is_always_served_within_a_bound(ours: Outcome) -> None:
    trace = third_model()
    swap = trace.rules.drain_seconds + trace.engines[0].card.load_seconds
    assert max(ours.waits()) <= 1.5 * swap
    assert all(ours.served(model) > 40 for model in "abc")


def test_other_rules_never_serve_it(peers: dict[str, Outcome]) -> None:
    assert peers["Ollama's rule"].served("c") == peers["LRU"].served("c") == 0
    assert max(peers["LRU"].waits()) >= SECONDS - 11


def test_serving_it_costs_next_to_no_throughput(ours: Outcome, peers: dict[str, Outcome]) -> None:
    best = max(peer.throughput for peer in peers.values())
    assert ours.throughput >= 0.97 * best


def test_sessions_are_served_alike(ours: Outcome, peers: dict[str, Outcome]) -> None:
    assert ours.jain > 0.95 > peers["LRU"].jain


def test_a_light_session_is_served_at_once_under_a_flood() -> None:
    trace = flood(seconds=40.0)
    ours, other = trace.ours(), trace.run(Ollama())
    assert max(ours.waits("light")) < 0.5
    assert max(other.waits("light")) > 20
    assert ours.throughput >= 0.97 * other.throughput


def test_many_agents_lose_nothing_by_being_treated_fairly() -> None:
    trace = many(64, seconds=40.0)
    ours, other = trace.ours(), trace.run(LeastRecentlyUsed())
    assert ours.throughput >= 0.97 * other.throughput
    assert ours.throughput >= 2.1 * trace.run(Aios()).throughput


def test_the_same_trace_has_the_same_outcome() -> None:
    first, second = (many(16, seconds=5.0).ours() for _ in range(2))
    assert first == second


def test_parked_models_come_back_faster() -> None:
    trace = third_model(60.0, host=40)
    cold = third_model(60.0).ours()
    warm = trace.ours()
    assert max(warm.waits()) <= max(cold.waits())
    assert len(warm.loads) >= len(cold.loads)


def test_time_passes_as_the_engine_says() -> None:
    engine = SimEngine(Card("a", "gpu", 10, load_seconds=3.0), step=0.5, prefill=100.0)
    outcome = Simulation(
        Scheduled(Rules({"gpu": 10})), [engine], [SimAgent("a", Client(), 200, 4, requests=1)]
    ).run(60.0)
    (request,) = outcome.requests
    assert (request.first, request.ended) == (3.0 + 2.0 + 0.5, 3.0 + 2.0 + 4 * 0.5)
    assert outcome.throughput == 4 / 60


def test_refused_agents_ask_again() -> None:
    engine = SimEngine(Card("a", "gpu", 10, load_seconds=1.0))
    agents = [SimAgent("a", Client("x"), 10, 10, requests=2) for _ in range(4)]
    outcome = Simulation(Scheduled(Rules({"gpu": 10}, session_queue=1)), [engine], agents).run(60.0)
    assert outcome.served("a") + sum(request.refused < 60 for request in outcome.requests) == 8
