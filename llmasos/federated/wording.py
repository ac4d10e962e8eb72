"""A training in words: what was planned and what it takes, how a round went, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.amounts import size, some
from llmasos.display import display
from llmasos.federated.events import Forecast, Refused, RoundEnded
from llmasos.federated.plan import Plan, names_of
from llmasos.federated.port import Prepared, RunStatus
from llmasos.federated.request import Request, defaulted

_TIMES = ((3600.0, "h"), (60.0, "min"))
_ENDED = {
    "completed": "all rounds are done",
    "target": "the target is reached",
    "stopped": "it was stopped",
    "failed": "it failed",
    "interrupted": "it was interrupted",
}


def plan_lines(request: Request, prepared: Prepared) -> list[str]:
    """Return what is about to be trained, what nobody asked for and was chosen, and what it will take."""
    plan, rows = prepared.plan, prepared.schema_.rows
    until = f", until the accuracy is {plan.target:.4g}" if plan.target else ""
    clients = [f"{name} ({count:,} rows)" for name, count in zip(names_of(plan), rows, strict=True)]
    lines = [
        f"Train {display(plan.name)}: {plan.recipe}, {_strategy(plan)}, {plan.rounds} rounds at most{until}.",
        f"Clients: {some(clients)}; {plan.sampled} of {plan.clients} a round.",
    ]
    if chosen := defaulted(request, plan):
        lines.append(f"Not asked for, so by default: {', '.join(chosen)}.")
    return [*lines, *forecast_lines(plan, prepared.forecast)]


def forecast_lines(plan: Plan, forecast: Forecast) -> list[str]:
    """Return what a training will take: time, bytes, and the privacy that it spends."""
    lines = [
        f"Forecast: {duration(forecast.seconds)}, {size(forecast.bytes_down)} to clients and "
        f"{size(forecast.bytes_up)} from them; the model has {forecast.parameters:,} numbers."
    ]
    if forecast.epsilon is not None:
        lines.append(f"Privacy: epsilon {forecast.epsilon:.3g} at delta {plan.privacy.delta:g} at the end.")
    return lines


def round_line(plan: Plan, event: RoundEnded) -> str:
    """Return how a round went, in a line."""
    asked = len(event.participants) + len(event.failed) + len(event.rejected)
    figures = [
        f"accuracy {event.accuracy:.4f}" if event.accuracy is not None else "",
        f"loss {event.loss:.4f}" if event.loss is not None else "",
        f"{len(event.participants)} of {asked} clients",
        f"epsilon {event.epsilon:.3g}" if event.epsilon is not None else "",
        refused_text("no answer from", event.failed),
        refused_text("rejected", event.rejected),
    ]
    return f"Round {event.round} of {plan.rounds}: {', '.join(filter(None, figures))}."


def refused_text(what: str, refused: Sequence[Refused]) -> str:
    """Return whose updates are missing and why; nothing where all are there."""
    return f"{what} {some([f'{one.client} ({one.reason})' for one in refused])}" if refused else ""


def end_text(status: RunStatus, rejected: Sequence[str] = ()) -> str:
    """Return what came of a training, in a sentence or two.

    Args:
        status: How it stands.
        rejected: The clients whose updates did not count.
    """
    why = _ENDED.get(status.state, status.state)
    reason = f" ({display(status.reason)})" if status.reason and status.state == "failed" else ""
    accuracy = f", accuracy {status.accuracy:.4f}" if status.accuracy is not None else ""
    said = f"{status.round} of {status.plan.rounds} rounds{accuracy}; {why}{reason}."
    names = list(dict.fromkeys(rejected))
    return f"{said} Rejected updates: {some(names)}." if names else said


def duration(seconds: float) -> str:
    """Return a time in its largest unit."""
    for unit, name in _TIMES:
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def _strategy(plan: Plan) -> str:
    strategy = plan.strategy
    with_ = {
        "fedprox": f" with mu {strategy.mu:g}",
        "trimmed-mean": f" leaving out {strategy.trim:g} at each end",
        "krum": f" bearing {strategy.byzantine}",
    }
    private = "" if plan.privacy.kind == "none" else f", {plan.privacy.kind} noise {plan.privacy.noise:g}"
    secure = ", summed securely" if plan.privacy.secure else ""
    return f"{strategy.name}{with_.get(strategy.name, '')}{private}{secure}"
