"""Why a part of an explanation is not known, in words."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.agent.explain.action import Action

NO_END = "no end is stored: it runs still, or the kernel has stopped"
IN_PLACE = "it worked in the folder itself, where no diff is kept"
UNRECORDED = "the ledger holds nothing of it"
_OLD = "the log is from a time before this was stored"


def why_nothing_said(action: Action) -> str:
    """Return why the model said nothing before the call."""
    if action.parent:
        return f"the code of {action.parent} made the call"
    return "the model wrote nothing before the call"


def why_no_arguments(action: Action) -> str:
    """Return why the arguments are not known."""
    if action.invalid:
        return "they were refused as they were; the ledger holds their SHA-256"
    return "no event that holds them is stored"


def why_undecided(action: Action) -> str:
    """Return why the decision, its facts and the origins are not known."""
    if action.decided:
        return "they were not stored"
    if action.invalid:
        return "the call was invalid, so the policy was not asked"
    for record in action.records:
        body = record.body or {}
        if rule := body.get("rule"):
            return f"{_OLD}; the ledger holds the rule {rule} of policy {body.get('policy', 'unknown')}"
    return _OLD if action.arguments is not None else "no decision is stored"


def why_no_choice(action: Action) -> str:
    """Return why it is not known how sure the model was."""
    if action.parent:
        return f"the code of {action.parent} made the call"
    if not action.decided:
        return "no decision is stored"
    return "the model's engine did not tell"


def why_not_asked(action: Action) -> str:
    """Return why no person was asked."""
    if action.invalid:
        return "the call was invalid, so nobody was asked"
    if not action.decided:
        return "no request is stored"
    verdict = action.decided[-1].decision.verdict
    if verdict == "ask":
        return "the policy asks, and no request is stored: the kernel has stopped before"
    return "nobody was asked: the policy " + ("allows it" if verdict == "allow" else "denies it")


def why_no_changes(action: Action, paths: Sequence[str] | None, *, in_place: bool) -> str:
    """Return why it is not known what the action changed."""
    if in_place:
        return IN_PLACE
    if paths is None:
        return "the turn has no end yet"
    if not action.decided:
        return "which of the turn's changes it made is not stored"
    return "which of the turn's changes code made cannot be told"
