"""Decisions made again: from the stored call and facts, as they were and with facts changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from llmasos.agent.policy import Call, Facts, Policy, decide, flipped
from llmasos.api.explaining import DecisionCheck
from llmasos.decisions import Decision, Flip, Verdict
from llmasos.errors import LLMasOSError
from llmasos.events import CallDecided


@dataclass(frozen=True)
class Policies:
    """What decisions are made again by.

    Args:
        load: Returns the policy of a version; raises that it was not kept, or was altered.
        today: The policy that holds now; None where that is not known.
    """

    load: Callable[[str], Policy]
    today: Policy | None = None


@dataclass(frozen=True)
class Recheck:
    """What came of deciding again.

    Args:
        checks: The decision as it was first, then with each change that would flip it.
        today: What the policy of today says, where it is another one than that of then.
        why: Why it could not be decided again; empty when it could.
        problems: What does not fit together.
    """

    checks: tuple[DecisionCheck, ...] = ()
    today: Decision | None = None
    why: str = ""
    problems: tuple[str, ...] = ()


def recheck(decided: CallDecided, policies: Policies | None) -> Recheck:
    """Decide on a stored call again, without looking at anything but the log and the policy of then."""
    if policies is None:
        return Recheck(why="no policies are kept here")
    if not decided.facts:
        return Recheck(why="the facts were not stored")
    try:
        facts = Facts.model_validate(decided.facts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = f"the facts cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        return Recheck(why="the stored facts cannot be read", problems=(problem,))
    call = Call(tool=decided.tool, arguments=decided.arguments)
    version, today = decided.decision.policy, None
    if policies.today is not None and policies.today.version != version:
        today = decide(call, facts, policies.today)
    try:
        checks, problems = _decided_again(decided.decision, call, facts, policies.load(version))
    except LLMasOSError as error:
        return Recheck(today=today, why=error.message)
    return Recheck(checks, today, problems=problems)


def _decided_again(
    was: Decision, call: Call, facts: Facts, policy: Policy
) -> tuple[tuple[DecisionCheck, ...], tuple[str, ...]]:
    again = decide(call, facts, policy)
    same = (again.verdict, again.rules) == (was.verdict, was.rules)
    checks = [DecisionCheck(expected=was.verdict, found=again.verdict, holds=same)]
    problems = []
    if not same:
        problems.append(
            f"decided again, it is {again.verdict} by {again.rule}, not {was.verdict} by {was.rule}"
        )
    elif again != was and not facts.secrets:
        # A secret in the call was taken out of what is stored, and its words are others now.
        problems.append("decided again, the verdict is the same, and not all that was said of it")
    for flip in was.flips:
        found = _flipped(call, facts, flip, policy)
        checks.append(
            DecisionCheck(facts=flip.facts, expected=flip.verdict, found=found, holds=found == flip.verdict)
        )
        if found != flip.verdict:
            changed = ", ".join(flip.facts) or "nothing"
            problems.append(f"with {changed} changed it is {found or 'undecidable'}, not {flip.verdict}")
    return tuple(checks), tuple(problems)


def _flipped(call: Call, facts: Facts, flip: Flip, policy: Policy) -> Verdict | None:
    try:
        return decide(*flipped(call, facts, flip), policy).verdict
    except (ValueError, TypeError):
        # A stored change that was altered may be none of a call or its facts.
        return None
