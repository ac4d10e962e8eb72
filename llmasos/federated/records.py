"""What of a run goes into the ledger: who began what, which updates led to which model, and how it ended."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from llmasos.federated.events import RunEvent
from llmasos.federated.plan import Plan

_FIGURES = ("train_loss", "loss", "accuracy", "epsilon")


def facts_of(event: RunEvent) -> dict[str, Any]:
    """Return what the ledger holds of an event; nothing where a later event says it again."""
    match event.type:
        case "run_started":
            plan = event.plan.model_dump(mode="json")
            return {
                "event": "started",
                "after": event.after,
                "plan": plan,
                "plan_sha256": plan_sha256(event.plan),
            }
        case "round_ended":
            told = event.model_dump(mode="json", include={"participants", "failed", "rejected", *_FIGURES})
            # JSON has no infinity; a model that has diverged says so in words.
            figures = {name: told[name] for name in _FIGURES if told[name] is not None}
            figures = {name: one if math.isfinite(one) else str(one) for name, one in figures.items()}
            return {
                **told,
                **figures,
                "event": "round",
                "round": event.round,
                "samples": sum(one.samples for one in event.participants),
                "weights_sha256": event.weights_sha256,
            }
        case "run_ended":
            return {
                "event": "ended",
                "state": event.state,
                "rounds": event.rounds,
                "reason": event.reason,
                "weights_sha256": event.weights_sha256,
            }
    return {}


def plan_sha256(plan: Plan) -> str:
    """Return the SHA-256 of a plan's canonical JSON (RFC 8785), by which anyone knows it again."""
    import rfc8785

    return hashlib.sha256(rfc8785.dumps(plan.model_dump(mode="json"))).hexdigest()
