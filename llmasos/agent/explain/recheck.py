"""Decisions made again: from the stored call and facts, as they were and with facts changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from llmasos.agent.policy.facts import Call, Facts
from llmasos.api.explaining import DecisionCheck
from llmasos.decisions import Decision, Flip
from llmasos.errors import LLMasOSError
from llmasos.events import CallDecided

P = TypeVar("P")


@dataclass(frozen=True)
class Judge(Generic[P]):
    """What decides again.

    Args:
        decide: Decides on a call with its facts by a policy.
        flipped: Applies what would flip a decision.
        load: Returns the policy of a version; raises what is wrong with it, or that it was not kept.
        today: The policy that holds now; None where that is not known.
    """

    decide: Callable[[Call, Facts, P], Decision]
    flipped: Callable[[Call, Facts, Flip], tuple[Call, Facts]]
    load: Callable[[str], P]
    today: P | None = None


@dataclass(frozen=True)
class Recheck:
    """What came of deciding again.

    Args:
        checks: The decision as it was first, then with each change that would flip it.
        today: What the policy of today says, where it says something else than the one of then.
        why: Why it could not be decided again; empty when it could.
        problems: What does not fit together.
    """

    checks: tuple[DecisionCheck, ...] = ()
    today: Decision | None = None
    why: str = ""
    problems: tuple[str, ...] = ()


def recheck(decided: CallDecided, judge: Judge[P] | None) -> Recheck:
    """Decide on a stored call again, without looking at anything but the log and the policy of then."""
    if judge is None:
        return Recheck(why="there is nothing that decides again")
    if not decided.facts:
        return Recheck(why="the facts were not stored")
    try:
        facts = Facts.model_validate(decided.facts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return Recheck(
            why="the stored facts cannot be read",
            problems=(f"the facts cannot be read: {place}: {first['msg']}",),
        )
    call = Call(tool=decided.tool, arguments=decided.arguments)
    today = judge.decide(call, facts, judge.today) if judge.today is not None else None
    if today is not None and today.policy == decided.decision.policy:
        today = None
    try:
        policy = judge.load(decided.decision.policy)
    except LLMasOSError as error:
        return Recheck(today=today, why=error.message)
    return _decided_again(decided, call, facts, judge, policy, today)


def _decided_again(
    decided: CallDecided, call: Call, facts: Facts, judge: Judge[P], policy: P, today: Decision | None
) -> Recheck:
    was = decided.decision
    again = judge.decide(call, facts, policy)
    checks = [DecisionCheck(expected=was.verdict, found=again.verdict, holds=again == was)]
    problems = []
    if again.verdict != was.verdict:
        problems.append(
            f"decided again, it is {again.verdict} by {again.rule}, not {was.verdict} by {was.rule}"
        )
    elif again != was:
        problems.append("decided again, the verdict is the same, and not all that was said of it")
    for flip in was.flips:
        found = _flipped(call, facts, flip, judge, policy)
        holds = found == flip.verdict
        checks.append(DecisionCheck(facts=flip.facts, expected=flip.verdict, found=found, holds=holds))
        if not holds:
            problems.append(
                f"with {', '.join(flip.facts)} changed it is {found or 'undecidable'}, not {flip.verdict}"
            )
    return Recheck(tuple(checks), today, problems=tuple(problems))


def _flipped(call: Call, facts: Facts, flip: Flip, judge: Judge[P], policy: P) -> str | None:
    try:
        return judge.decide(*judge.flipped(call, facts, flip), policy).verdict
    except (ValueError, TypeError, KeyError, LLMasOSError):
        # A stored change that was altered may be none of a call or its facts.
        return None
