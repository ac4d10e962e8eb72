"""Our scheduler beside the rules of others, on the same traces under a virtual clock."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.simulated_peers import BUDGET, PEERS
from llmasos.models.scheduler.simulation import Policy, Scheduled, Simulation
from llmasos.models.scheduler.trace import Outcome, SimAgent, SimEngine
from llmasos.models.scheduler.types import Card, Client, Rules


@dataclass(frozen=True)
class Trace:
    """Who asks what for how long."""

    title: str
    engines: tuple[SimEngine, ...]
    agents: tuple[SimAgent, ...]
    seconds: float
    rules: Rules

    def run(self, policy: Policy) -> Outcome:
        """Run it under a policy."""
        return Simulation(policy, self.engines, self.agents).run(self.seconds)

    def ours(self) -> Outcome:
        """Run it under our policy."""
        return self.run(Scheduled(self.rules))


def engine(
    name: str,
    *,
    size: int = 40,
    slots: int = 8,
    load: float = 5.0,
    host: int = 0,
    prefill: float = 8000.0,
) -> SimEngine:
    """Return a model of seven billion parameters on a GPU, as far as time is concerned."""
    card = Card(name, "gpu", size, host, slots=slots, load_seconds=load)
    return SimEngine(card, step=0.02, more=0.001, prefill=prefill)


def crowd(model: str, agents: int = 8, start: float = 0.0) -> tuple[SimAgent, ...]:
    """Return agents that ask a model without a pause, so that it is never idle."""
    return tuple(
        SimAgent(model, Client(f"{model}{n}"), 200, 100 + 10 * n, start + n / 10) for n in range(agents)
    )


def third_model(seconds: float = 300.0, prefill: float = 8000.0) -> Trace:
    """Return two models that are never idle, and a third one for which there is no room beside them."""
    return Trace(
        f"two models that are never idle, and a third, reading {prefill:,.0f} tokens/s",
        tuple(engine(name, prefill=prefill) for name in "abc"),
        (*crowd("a"), *crowd("b"), *crowd("c", start=10.0)),
        seconds,
        Rules({"gpu": BUDGET}),
    )


def flood(agents: int = 64, seconds: float = 120.0) -> Trace:
    """Return a session with a flood of long requests, and a light one that asks now and then."""
    heavy = tuple(SimAgent("a", Client("flood"), 400, 400, n / 100) for n in range(agents))
    light = SimAgent("a", Client("light"), 50, 20, 5.0, think=3.0)
    return Trace(
        "a flood from one session, and a light one",
        (engine("a"),),
        (*heavy, light),
        seconds,
        Rules({"gpu": BUDGET}, session_queue=1000),
    )


def many(agents: int = 250, seconds: float = 120.0) -> Trace:
    """Return many agents of one model that think between requests."""
    each = tuple(
        SimAgent("a", Client(f"agent{n}"), 100 + n % 7 * 50, 20 + n % 5 * 40, n % 50 / 10, think=1 + n % 3)
        for n in range(agents)
    )
    return Trace(f"{agents} agents of one model", (engine("a"),), each, seconds, Rules({"gpu": BUDGET}))


def now_and_then(host: int = 0, seconds: float = 300.0) -> Trace:
    """Return three models that are each used now and then, and of which two fit."""
    return Trace(
        f"three models used now and then, {'with' if host else 'without'} host memory for them",
        tuple(engine(name, host=host) for name in "abc"),
        tuple(SimAgent(name, Client(name), 200, 60, n, think=7.0 + n) for n, name in enumerate("abc")),
        seconds,
        Rules({"gpu": BUDGET}, 200 if host else 0),
    )


def lines() -> list[str]:
    """Run all traces and return tables of what came out."""
    out: list[str] = []
    slow = (third_model(prefill=prefill) for prefill in (2000.0, 500.0))
    traces = (
        third_model(),
        *slow,
        now_and_then(),
        now_and_then(host=40),
        flood(),
        many(8),
        many(64),
        many(250),
    )
    for trace in traces:
        out += [f"{trace.title.capitalize()}, {trace.seconds:.0f} s", ""]
        out += ["| rule | tokens/s | served by model | p50 / p99 / longest wait, s | Jain | loads |"]
        out += ["| --- | --- | --- | --- | --- | --- |"]
        runs = {"ours": trace.ours(), **{name: trace.run(peer()) for name, peer in PEERS.items()}}
        for name, outcome in runs.items():
            waits = outcome.waits()
            served = ", ".join(str(outcome.served(engine.card.model)) for engine in trace.engines)
            quantiles = (waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1])
            out.append(
                f"| {name} | {outcome.throughput:.0f} | {served} | "
                f"{' / '.join(f'{wait:.1f}' for wait in quantiles)} | {outcome.jain:.3f} "
                f"| {len(outcome.loads)} |"
            )
        out.append("")
    return out


if __name__ == "__main__":
    print(*lines(), sep="\n")
