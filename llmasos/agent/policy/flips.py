"""Flips: the smallest changes of facts that would have changed what was decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from llmasos.agent.policy.book import Entry, Policy, verdict
from llmasos.agent.policy.conditions import ARGUMENT, Condition, Known, as_json, as_known
from llmasos.agent.policy.facts import Access, Asking
from llmasos.agent.policy.globs import sample
from llmasos.decisions import Effect, Flip, Identifier, SourceKind, Verdict

_MOST = 6
_BUDGET = 400
_BRIEF = 40
# What a call is; that it might have been another one explains little.
_NATURE = frozenset(("tool", "plugin", "capabilities", "effects"))
_CHOICES: dict[str, tuple[str, ...]] = {
    "effects": get_args(Effect),
    "sinks": get_args(SourceKind),
    "copied": get_args(SourceKind),
    "carries": get_args(SourceKind),
    "gains": get_args(Effect),
    "identifiers": get_args(Identifier),
    "untrusted": get_args(SourceKind),
    "access": get_args(Access),
    "asking": get_args(Asking),
    "tier": ("docker", "bubblewrap", "landlock"),
}
_HARMLESS: dict[str, Any] = {
    "untrusted": [],
    "copied": [],
    "sinks": [],
    "identifiers": [],
    "carries": [],
    "gains": [],
    "given": 1,
    "dictated": True,
    "ungiven": [],
    "disguised": [],
    "dynamic": False,
    "secrets": False,
    "outside": [],
    "hosts": [],
    "writes": [],
    "in_place": False,
    "asking": "on-risk",
    "access": "workspace",
    "plugin": "",
    "effects": ["reads"],
    "capabilities": ["reads"],
    "commands": [],
    "programs": [],
    "reads": [],
    "attended": True,
    "tier": "docker",
}
_CONTRARY: dict[str, Any] = {
    "copied": ["web"],
    "sinks": ["web"],
    "identifiers": ["link"],
    "carries": ["web"],
    "gains": ["unknown"],
    "untrusted": ["web"],
    "given": 0,
    "dictated": False,
    "ungiven": ["something"],
    "dynamic": True,
    "secrets": True,
    "outside": ["/etc/passwd"],
    "hosts": ["attacker.example"],
    "open_hosts": [],
    "writes": [".git/hooks/pre-commit"],
    "in_place": True,
    "access": "read-only",
    "asking": "always",
    "plugin": "mcp:unknown",
    "effects": ["unknown"],
    "capabilities": [],
    "attended": False,
}
_OTHER: dict[str, Any] = {
    "commands": ["something"],
    "programs": ["something"],
    "reads": ["something"],
    "tool": "another_tool",
    "folder": "/another/folder",
}


def flips(facts: Known, matched: Sequence[Entry], policy: Policy) -> tuple[Flip, ...]:
    """Return what would have decided otherwise: single facts, or else the smallest set that is found.

    There is one unless the rules decide on every call alike.

    Args:
        facts: The facts as they are.
        matched: The rules that match them.
        policy: The rules.
    """
    return _Search(facts, matched, policy).run()


class _Search:
    def __init__(self, facts: Known, matched: Sequence[Entry], policy: Policy) -> None:
        self._facts = facts
        self._matched = matched
        self._policy = policy
        self._verdict = verdict(matched[0] if matched else None, facts)
        self._budget = _BUDGET

    def run(self) -> tuple[Flip, ...]:
        """Return the flips, the most telling first."""
        if self._verdict == "allow":
            found = [*self._singles(_CONTRARY)]
        else:
            found = [*self._singles(_HARMLESS)]
            if self._verdict == "ask":
                found = [flip for flip in found if flip.verdict == "allow"]
            if not any(_NATURE.isdisjoint(flip.facts) for flip in found):
                telling = self._set(("allow",), _BRIEF, {name: None for name in _NATURE})
                found = [telling, *found] if telling is not None else found
        if not found:
            found = [*self._singles(_HARMLESS), *self._singles(_CONTRARY), *self._singles(_OTHER)]
        for wanted in (("allow",), ("allow", "ask", "deny")):
            if not found and (flip := self._set(wanted, _BUDGET, {})) is not None:
                found = [flip]
        return tuple(found[:_MOST])

    def _singles(self, table: dict[str, Any]) -> Iterator[Flip]:
        telling = [name for entry in self._matched[:1] for each in entry.conditions for name in each.looks]
        names = sorted(table, key=lambda name: (name in _NATURE, name not in telling))
        if self._verdict != "allow" and "hosts" in table:
            names.insert(0, "open_hosts")
        for name in names:
            value = list(self._facts["hosts"]) if name == "open_hosts" and name not in table else table[name]
            flip = self._tried({name: value})
            if flip is not None:
                yield flip

    def _tried(self, changes: dict[str, Any]) -> Flip | None:
        """Return the changes as a flip, if they are one."""
        changes = {
            name: value for name, value in changes.items() if as_known(name, value) != self._facts[name]
        }
        if not changes:
            return None
        facts, first = self._with(changes)
        found = verdict(first, facts)
        return Flip(facts=changes, verdict=found) if found != self._verdict else None

    def _with(self, changes: dict[str, Any]) -> tuple[Known, Entry | None]:
        """Return the facts with changes, and the first rule that matches them."""
        facts = self._facts | {name: as_known(name, value) for name, value in changes.items()}
        touched = {entry.rank: entry for name in changes for entry in self._policy.looking.get(name, ())}
        kept = next((entry for entry in self._matched if entry.rank not in touched), None)
        for rank in sorted(touched):
            if kept is not None and kept.rank < rank:
                return facts, kept
            if touched[rank].holds(facts):
                return facts, touched[rank]
        return facts, kept

    def _set(self, wanted: tuple[Verdict, ...], budget: int, barred: dict[str, None]) -> Flip | None:
        """Return a small set of changes that leads to one of the wanted verdicts."""
        self._budget = budget
        changes = self._descend({}, frozenset(wanted) - {self._verdict}, barred)
        if changes is None:
            return None
        for name in list(changes):
            less = {other: value for other, value in changes.items() if other != name}
            flip = self._tried(less) if less else None
            if flip is not None and flip.verdict in wanted:
                changes = less
        return self._tried(changes)

    def _descend(
        self, changes: dict[str, Any], wanted: frozenset[Verdict], barred: dict[str, None]
    ) -> dict[str, Any] | None:
        self._budget -= 1
        facts, first = self._with(changes)
        if verdict(first, facts) in wanted:
            return changes
        if self._budget <= 0:
            return None
        for more in self._steps(facts, first, changes | barred, wanted):
            found = self._descend(changes | more, wanted, barred)
            if found is not None or self._budget <= 0:
                return found
        return None

    def _steps(
        self, facts: Known, first: Entry | None, fixed: dict[str, Any], wanted: frozenset[Verdict]
    ) -> Iterator[dict[str, Any]]:
        """Yield changes that have the decisive rule not match, and those that have a stronger one match."""
        for condition in first.conditions if first is not None else ():
            for name in condition.looks:
                if name not in fixed:
                    yield from _changing(condition, name, facts, holds=False)
        for entry in self._policy.entries:
            if first is not None and entry.rank >= first.rank:
                return
            if entry.rule.decision in wanted and (more := _satisfying(entry, facts, fixed)):
                yield more


def _satisfying(entry: Entry, facts: Known, fixed: dict[str, Any]) -> dict[str, Any] | None:
    """Return changes of facts with which a rule matches; None where none are found."""
    changes: dict[str, Any] = {}
    for condition in entry.conditions:
        now = facts | {name: as_known(name, value) for name, value in changes.items()}
        if condition.holds(now):
            continue
        free = [name for name in condition.looks if name not in fixed and name not in changes]
        step = next((step for name in free for step in _changing(condition, name, now, holds=True)), None)
        if step is None:
            return None
        changes |= step
    return changes


def _changing(condition: Condition, name: str, facts: Known, *, holds: bool) -> Iterator[dict[str, Any]]:
    """Yield values of a fact with which a condition holds, or does not."""
    for value in _candidates(condition, name, facts):
        if condition.holds(facts | {name: as_known(name, value)}) is holds:
            yield {name: value}


def _candidates(condition: Condition, name: str, facts: Known) -> Iterator[Any]:
    for table in (_HARMLESS, _CONTRARY, _OTHER):
        if name in table:
            yield table[name]
    text = sample(condition.globs)
    if name in ("access", "asking"):
        yield from _CHOICES[name]
    elif name in ("tool", "plugin", "tier", "folder"):
        yield from (*_CHOICES.get(name, ()), text, "something")
        if name == "folder":
            yield ""
    elif name in _CHOICES:
        yield from ([choice] for choice in _CHOICES[name])
        yield []
    elif name == "given":
        yield from range(2, 10)
    elif name.startswith(ARGUMENT):
        yield from (None, text, "something")
    elif name == "open_hosts":
        yield as_json("hosts", facts["hosts"])
        yield []
    elif not isinstance(facts[name], bool):
        yield from ([], [text], ["something"])
