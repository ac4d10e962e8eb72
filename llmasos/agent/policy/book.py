"""The policy: the rules in force, compiled once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from llmasos.agent.policy.conditions import ARGUMENT, Condition, Known, conditions
from llmasos.agent.policy.rules import Rule
from llmasos.decisions import Verdict

_STRENGTH = {"allow": 0, "ask": 1, "deny": 2}


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule with its conditions; `rank` orders rules, the decisive first."""

    rule: Rule
    conditions: tuple[Condition, ...]
    rank: int

    def holds(self, facts: Known) -> bool:
        """Return whether all conditions hold."""
        for condition in self.conditions:  # noqa: SIM110 - the inner loop of everything here
            if not condition.holds(facts):
                return False
        return True


class Policy(BaseModel):
    """The rules in force.

    Args:
        rules: The rules, in the order in which they decide.
        notices: What was wrong with the files that they come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[Rule, ...]
    notices: tuple[str, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[Rule], notices: Iterable[str] = ()) -> Policy:
        """Return the policy of rules in any order."""
        return cls(rules=tuple(sorted(rules, key=_order)), notices=tuple(notices))

    @cached_property
    def version(self) -> str:
        """The start of the SHA-256 of the rules."""
        rules = [rule.model_dump(mode="json", exclude_none=True) for rule in self.rules]
        text = json.dumps(rules, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The rules with their conditions, the decisive first."""
        ordered = sorted(self.rules, key=_order)
        return tuple(Entry(rule, conditions(rule), rank) for rank, rule in enumerate(ordered))

    @cached_property
    def looking(self) -> dict[str, tuple[Entry, ...]]:
        """The rules that look at each fact."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            for name in dict.fromkeys(name for each in entry.conditions for name in each.looks):
                found.setdefault(name, []).append(entry)
        return {name: tuple(entries) for name, entries in found.items()}

    @cached_property
    def arguments(self) -> frozenset[str]:
        """The names of the arguments that rules look at."""
        return frozenset(name[len(ARGUMENT) :] for name in self.looking if name.startswith(ARGUMENT))


def verdict(first: Entry | None, facts: Known) -> Verdict:
    """Return what is decided where a rule is the first that matches, or none does."""
    found: Verdict = first.rule.decision if first is not None else "ask"
    return "deny" if found == "ask" and facts["asking"] == ("never",) else found


def _order(rule: Rule) -> tuple[int, int, int, str]:
    strength = _STRENGTH[rule.decision]
    if strength == 2:
        return (0, 0, 0, rule.id)
    return (1, -rule.priority, -strength, rule.id)
