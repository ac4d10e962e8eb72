"""The engine: decides on a call by what is known of it, and by nothing else."""

from __future__ import annotations

from typing import Any

from llmasos.agent.policy.book import Entry, Policy, verdict
from llmasos.agent.policy.conditions import ARGUMENT, Known, as_json, closed_hosts, known
from llmasos.agent.policy.facts import Call, Facts
from llmasos.agent.policy.flips import flips
from llmasos.agent.policy.rules import PLACEHOLDER
from llmasos.decisions import Decision, Flip

NOTHING_ALLOWS = "nothing-allows"
_SHOWN = 5
_LONGEST = 120


def decide(call: Call, facts: Facts, policy: Policy) -> Decision:
    """Return what the policy says of a call.

    Rules that deny beat all others. Of those that ask and allow the one with the highest priority counts, and
    at the same priority asking does. Where no rule matches, a person is asked.

    Args:
        call: The call.
        facts: What is known of it.
        policy: The rules.
    """
    looked = known(call, facts, policy.arguments)
    matched = [entry for entry in policy.entries if entry.holds(looked)]
    first = matched[0] if matched else None
    reason = (
        _reason(first, looked | {"sources": _sources(facts)})
        if first is not None
        else f"No rule allows {call.tool}."
    )
    names = [name for entry in matched for each in entry.conditions for name in each.looks]
    if first is None:
        names = ["tool", "effects", "capabilities"]
    found = verdict(first, looked)
    if found != (first.rule.decision if first is not None else "ask"):
        names.append("asking")
        reason += " Nobody is to be asked, so it is denied."
    return Decision(
        verdict=found,
        rules=tuple(entry.rule.id for entry in matched) or (NOTHING_ALLOWS,),
        reason=reason,
        facts={name: as_json(name, looked[name]) for name in dict.fromkeys(names)},
        flips=flips(looked, matched, policy),
        policy=policy.version,
    )


def flipped(call: Call, facts: Facts, flip: Flip) -> tuple[Call, Facts]:
    """Return the call and its facts as a flip would have them.

    Args:
        call: The call.
        facts: What is known of it.
        flip: The facts that would be different.
    """
    tool, arguments = call.tool, dict(call.arguments)
    changed: dict[str, Any] = {}
    for name, value in flip.facts.items():
        if name == "tool":
            tool = value
        elif name.startswith(ARGUMENT):
            arguments.pop(name[len(ARGUMENT) :], None)
            if value:
                arguments[name[len(ARGUMENT) :]] = value
        else:
            changed[name] = value
    before = {name: getattr(facts, name) for name in Facts.model_fields}
    return Call(tool=tool, arguments=arguments), Facts.model_validate(before | changed)


def _sources(facts: Facts) -> tuple[str, ...]:
    """Return where the text was found that would leave without the person's word."""
    spans = [span for origin in facts.origins for span in origin.spans]
    found = [span.source.name for span in spans if span.source.kind in facts.carries]
    if "file" in facts.carries:
        found += facts.reads
    return tuple(dict.fromkeys(found)) or tuple(sorted(facts.carries))


def _reason(entry: Entry, facts: Known) -> str:
    if not entry.rule.reason:
        return f"The rule {entry.rule.id} says so."
    matched = {each.name: each.matched(facts) for each in entry.conditions}

    def fill(name: str) -> str:
        items = matched.get(name)
        if items is None:
            items = closed_hosts(facts) if name == "closed_hosts" else facts[name]
        if not isinstance(items, tuple):
            return str(items)
        shown = [item if len(item) <= _LONGEST else f"{item[:_LONGEST]}…" for item in items[:_SHOWN]]
        more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
        return ", ".join(shown) + more

    return PLACEHOLDER.sub(lambda found: fill(found[1]), entry.rule.reason)
