"""Our scheduler beside the rules of others, on short traces under a virtual clock."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulated import engine, flood, many, now_and_then, third_model
from benchmarks.simulated_peers import PEERS, Aios, LeastRecentlyUsed, Ollama
from llmasos.models.scheduler.simulation import Scheduled, Simulation
from llmasos.models.scheduler.trace import Outcome, SimAgent, SimEngine
from llmasos.models.scheduler.types import Band, Card, Client, Rules

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


def test_slow_reading_makes_it_dearer_but_not_much() -> None:
    trace = third_model(prefill=1000.0)
    ours, other = trace.ours(), trace.run(Ollama())
    assert ours.throughput >= 0.92 * other.throughput
    assert max(ours.waits()) <= 2 * trace.rules.drain_seconds + trace.engines[0].card.load_seconds
    assert all(ours.served(model) > 100 for model in "abc")


def test_sessions_are_served_alike(ours: Outcome, peers: dict[str, Outcome]) -> None:
    assert ours.jain > 0.95 > peers["LRU"].jain


def test_a_light_session_is_served_at_once_under_a_flood() -> None:
    trace = flood(seconds=40.0)
    ours, other = trace.ours(), trace.run(Ollama())
    assert max(ours.waits("light")) < 0.5
    assert max(other.waits("light")) > 20
    assert ours.throughput >= 0.97 * other.throughput


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_two_floods_share_by_their_weights_whatever_they_ask(weight: float) -> None:
    agents = [
        SimAgent("a", Client(session, weight=part), prompt, output, n / 20)
        for session, part, prompt, output in (("short", 1.0, 50, 30), ("long", weight, 400, 300))
        for n in range(12)
    ]
    policy = Scheduled(Rules({"gpu": 100}, session_queue=100))
    Simulation(policy, [engine("a")], agents).run(60.0)
    counters = {name: session.counter for name, session in policy.state.sessions.items()}
    assert counters["long"] == pytest.approx(counters["short"], rel=0.05)


def test_many_agents_lose_nothing_by_being_treated_fairly() -> None:
    trace = many(64, seconds=40.0)
    ours, other = trace.ours(), trace.run(LeastRecentlyUsed())
    assert ours.throughput >= 0.97 * other.throughput
    assert ours.throughput >= 2.1 * trace.run(Aios()).throughput


def test_the_same_trace_has_the_same_outcome() -> None:
    first, second = (many(16, seconds=5.0).ours() for _ in range(2))
    assert first == second


def test_host_memory_makes_models_come_back_faster() -> None:
    cold, warm = now_and_then().ours(), now_and_then(host=40).ours()
    assert len(warm.loads) > 10
    assert sum(warm.waits()) / len(warm.waits()) < 0.3 * sum(cold.waits()) / len(cold.waits())


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


@settings(max_examples=10, deadline=None)
@given(
    sizes=st.lists(st.integers(20, 100), min_size=3, max_size=4),
    slots=st.integers(1, 4),
    host=st.sampled_from([0, 60, 400]),
    bands=st.lists(st.sampled_from(["interactive", "normal", "batch"]), min_size=4, max_size=4),
    preemptible=st.booleans(),
)
def test_no_model_waits_for_ever_beside_others_that_are_never_idle(
    sizes: list[int], slots: int, host: int, bands: list[Band], preemptible: bool
) -> None:
    engines = [
        SimEngine(Card(name, "gpu", size, size, slots=slots, load_seconds=2.0), step=0.2)
        for name, size in zip("abcd", sizes, strict=False)
    ]
    agents = [
        SimAgent(name, Client(f"{name}{n}", band), 50, 10, n * 0.3, preemptible=preemptible)
        for name, band, _ in zip("abcd", bands, sizes, strict=False)
        for n in range(slots + 1)
    ]
    rules = Rules({"gpu": 100}, host, drain_seconds=5.0, age_seconds=10.0)
    outcome = Simulation(Scheduled(rules), engines, agents).run(120.0)
    # Each other model has its turn before, and the requests that it has must have waited long.
    bound = rules.age_seconds + len(sizes) * (rules.drain_seconds + 2.0 + 0.2 * 20)
    for name, _ in zip("abcd", sizes, strict=False):
        gaps = [0.0, *sorted(r.first for r in outcome.requests if r.job.model == name and r.first < 120)]
        assert max(later - before for before, later in pairwise([*gaps, 120.0])) <= bound
