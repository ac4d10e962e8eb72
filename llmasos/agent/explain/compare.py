"""Whether the events of an action say what the ledger recorded of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmasos.agent.approvals import sha256_json
from llmasos.agent.audit import differences
from llmasos.api import RecordInfo
from llmasos.decisions import Decision
from llmasos.events import ActionFinished, ActionStarted, ApprovalResolved, CallDecided, Event

_ENDS = {"intent": "intent", "outcome": "outcome", "cancel": "outcome"}


def compare(action: str, events: Sequence[Event], records: Sequence[RecordInfo]) -> Iterator[str]:
    """Yield how an action's events differ from its records."""
    if not events and records:
        yield f"the ledger records the action {action}, and the session does not show it"
        return
    bodies = {(action, _ENDS[record.kind]): record.body for record in records if record.kind in _ENDS}
    for event in events:
        if isinstance(event, ActionStarted | ActionFinished):
            yield from differences(event, bodies)
    decided = [event for event in events if isinstance(event, CallDecided)]
    intent = bodies.get((action, "intent"))
    for made in decided:
        told = [origin.model_dump(mode="json") for origin in made.origins]
        if made.facts.get("origins", told) != told:
            yield f"the origins of {action} ({made.tool}) are not those among its facts"
    judged = intent or bodies.get((action, "outcome")) or {}
    if decided:
        yield from _unlike(decided[-1], judged)
    elif "facts_sha256" in judged:
        yield f"the ledger records what was decided of {action}, and the session does not show it"
    answers = [event for event in events if isinstance(event, ApprovalResolved)]
    yield from _answers(
        action,
        [made.decision for made in decided],
        answers,
        [record for record in records if record.kind == "approval"],
    )
    if intent is not None and not any(isinstance(event, ActionStarted) for event in events):
        yield f"the ledger records that {action} was to run, and the session does not show it"


def _unlike(decided: CallDecided, recorded: Mapping[str, Any]) -> Iterator[str]:
    action = f"{decided.action} ({decided.tool})"
    said = {"policy": decided.decision.policy, "rule": decided.decision.rule}
    for name, value in said.items():
        if recorded.get(name, value) != value:
            yield f"the {name} of {action} is not the one that was recorded"
    for name, known in (("arguments", decided.arguments), ("facts", decided.facts)):
        if recorded.get(f"{name}_sha256", digest := sha256_json(known)) != digest:
            yield f"the {name} on which {action} was decided are not those that were recorded"


def _answers(
    action: str,
    decided: Sequence[Decision],
    answers: Sequence[ApprovalResolved],
    records: Sequence[RecordInfo],
) -> Iterator[str]:
    bodies = [record.body or {} for record in records if not record.erased]
    for body in bodies if decided else ():
        ruled = {name: body[name] for name in ("policy", "rule") if name in body}
        if not any(ruled.items() <= {"policy": made.policy, "rule": made.rule}.items() for made in decided):
            yield f"the rule that had {action} asked about or denied is not the one that was recorded"
    if len(bodies) < len(records):
        return
    for answer in answers:
        said = {"approved": answer.approved, "by": answer.by}
        if not any(said.items() <= body.items() for body in bodies):
            yield f"the approval of {action} is not one that was recorded"
