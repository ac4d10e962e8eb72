"""What a strategy must remember between rounds, so that a resumed run equals the uninterrupted one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flwr.serverapp.strategy import Strategy

from llmasos.federated.strategies.guard import Guarded
from llmasos.federated.weights import Weights

_MOMENTS = ("m_t", "v_t")


@dataclass(frozen=True)
class State:
    """A strategy's memory.

    Args:
        weights: The moments of FedAdam and FedYogi, named `m_t/ARRAY` and `v_t/ARRAY`.
        facts: Everything else, as JSON can hold it.
    """

    weights: Weights = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def state_of(strategy: Strategy) -> State:
    """Return what a strategy remembers; the model itself is kept elsewhere."""
    if not isinstance(strategy, Guarded):
        return State(_moments(strategy))
    facts = {"norms": list(strategy.norms), "missed": strategy.missed, "taken": dict(strategy.taken)}
    return State(_moments(strategy.strategy), facts)


def restore(strategy: Strategy, state: State) -> None:
    """Give a fresh strategy its memory back.

    Raises:
        ValueError: The memory is of another kind of strategy.
    """
    inner = strategy.strategy if isinstance(strategy, Guarded) else strategy
    if state.weights and not hasattr(inner, "m_t"):
        raise ValueError(f"{type(inner).__name__} has no moments, and the state has")
    for moment in _MOMENTS:
        kept = {
            name.removeprefix(f"{moment}/"): array.copy()
            for name, array in state.weights.items()
            if name.startswith(f"{moment}/")
        }
        if kept:
            setattr(inner, moment, kept)
    if isinstance(strategy, Guarded) and state.facts:
        strategy.norms = [float(norm) for norm in state.facts["norms"]]
        strategy.missed = int(state.facts["missed"])
        strategy.taken = {str(client): int(times) for client, times in state.facts["taken"].items()}


def _moments(strategy: Strategy) -> Weights:
    return {
        f"{moment}/{name}": array.copy()
        for moment in _MOMENTS
        for name, array in (getattr(strategy, moment, None) or {}).items()
    }
