"""Suggestions: rules that allow what a person has approved before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from llmasos.agent.policy.book import Entry, Policy
from llmasos.agent.policy.conditions import ARGUMENT, conditions, known
from llmasos.agent.policy.engine import decide
from llmasos.agent.policy.facts import Call, Facts
from llmasos.agent.policy.files import as_toml
from llmasos.agent.policy.layers import builtin
from llmasos.agent.policy.patterns import merged, rule_of
from llmasos.agent.policy.rules import Rule
from llmasos.decisions import Verdict
from llmasos.events import ApprovalResolved, CallDecided, EventBase

_FEWEST = 2


@dataclass(frozen=True)
class Logged:
    """A call of the past, with what was decided then."""

    call: Call
    facts: Facts
    verdict: Verdict


@dataclass(frozen=True)
class Past:
    """What the log says of calls.

    Args:
        log: All of them.
        approved: Those that a person approved.
        lost: How many stored events cannot be read any more.
    """

    log: tuple[Logged, ...] = ()
    approved: tuple[tuple[Call, Facts], ...] = ()
    lost: int = 0


class Suggestion(BaseModel):
    """A rule that would have saved prompts.

    Args:
        rule: The rule.
        toml: The rule as a file has it.
        approvals: How many of the approvals it stands for.
        matched: How many calls of the log it matches, by what was decided then.
    """

    model_config = ConfigDict(frozen=True)

    rule: Rule
    toml: str
    approvals: int
    matched: dict[Verdict, int] = {}


def pattern(call: Call, facts: Facts, policy: Policy | None = None) -> Rule | None:
    """Return the rule that "always" adds to the user's file; None where no such rule would spare the prompt.

    Args:
        call: The call that is asked about.
        facts: What is known of it.
        policy: The rules in force; the built-in ones where none are given.
    """
    rule = rule_of(call, facts)
    if rule is None:
        return None
    rules = policy.rules if policy is not None else builtin()
    after = decide(call, facts, Policy.of([*(each for each in rules if each.id != rule.id), rule]))
    return rule if after.verdict == "allow" else None


def suggest(
    approved: Sequence[tuple[Call, Facts]],
    log: Sequence[Logged],
    policy: Policy | None = None,
) -> list[Suggestion]:
    """Return rules that allow what was approved twice at least, the most useful first.

    Args:
        approved: Calls that a person approved.
        log: All calls of the past.
        policy: The rules in force; the built-in ones where none are given.
    """
    groups: dict[tuple[object, ...], list[Rule]] = {}
    policy = policy or Policy.of(builtin())
    for call, facts in approved:
        if decide(call, facts, policy).verdict == "allow":
            continue  # A rule has been added since.
        rule = pattern(call, facts, policy)
        if rule is not None:
            groups.setdefault(_likeness(rule), []).append(rule)
    found = []
    for rules in groups.values():
        if len(rules) >= _FEWEST:
            rule = merged(rules)
            found.append(
                Suggestion(rule=rule, toml=as_toml(rule), approvals=len(rules), matched=_matched(rule, log))
            )
    return sorted(found, key=lambda each: (-each.approvals, each.rule.id))


def collect(events: Iterable[EventBase]) -> Past:
    """Return what stored events say of calls and of approvals.

    Args:
        events: The events of sessions, each session's in their order.
    """
    calls: dict[tuple[str, str], Logged] = {}
    approved = []
    for event in events:
        if isinstance(event, CallDecided):
            try:
                facts = Facts.model_validate(event.facts)
            except ValidationError:
                continue  # Facts of another version cannot be judged again.
            call = Call(tool=event.tool, arguments=event.arguments)
            calls[event.session, event.action] = Logged(call, facts, event.decision.verdict)
        elif isinstance(event, ApprovalResolved) and event.approved and event.arguments is None:
            approved.append((event.session, event.action))
    found = [calls[key] for key in approved if key in calls]
    return Past(tuple(calls.values()), tuple((each.call, each.facts) for each in found))


def _likeness(rule: Rule) -> tuple[object, ...]:
    when = rule.when
    named = frozenset(when.model_fields_set)
    return (when.tool, when.plugin, when.in_place, when.folder, when.gains, named, str(when.arguments))


def _matched(rule: Rule, log: Sequence[Logged]) -> dict[Verdict, int]:
    entry = Entry(rule, conditions(rule), 0)
    looks = {name for each in entry.conditions for name in each.looks}
    arguments = frozenset(name[len(ARGUMENT) :] for name in looks if name.startswith(ARGUMENT))
    hits = (each.verdict for each in log if entry.holds(known(each.call, each.facts, arguments)))
    return dict(Counter(hits))
