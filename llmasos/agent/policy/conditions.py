"""Conditions: what a rule asks of the facts of a call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmasos.agent.commands.harmless import strange_words
from llmasos.agent.policy.facts import Call, Facts
from llmasos.agent.policy.globs import matcher
from llmasos.agent.policy.rules import Rule, When

Items = tuple[str, ...]
Known = dict[str, Any]
"""The facts by their names: lists and words as tuples of texts, flags and numbers as they are."""

ARGUMENT = "arguments."
_FOLDED = ("tool", "plugin", "tier", "folder", "access", "asking")
_SETS = ("effects", "gains", "sinks", "copied", "carries", "identifiers", "untrusted")
_PATHS = ("reads", "writes", "outside", "disguised", "folder")
_PLAIN = ("given", "dictated", "secrets", "dynamic", "attended", "in_place")
_LISTS = (
    *("capabilities", "programs", "commands", "reads", "writes", "outside", "disguised"),
    *("hosts", "open_hosts", "ungiven"),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule.

    Args:
        name: Its name in the rule.
        looks: The facts that it looks at.
        holds: Returns whether it holds.
        matched: Returns the items that made it hold.
        globs: The globs, where it has some.
    """

    name: str
    looks: tuple[str, ...]
    holds: Callable[[Known], bool]
    matched: Callable[[Known], Items]
    globs: Items = ()


def known(call: Call, facts: Facts, arguments: frozenset[str] = frozenset()) -> Known:
    """Return what rules may look at.

    Args:
        call: The call.
        facts: Its facts.
        arguments: The names of the arguments that rules look at.
    """
    found: Known = {name: getattr(facts, name) for name in (*_PLAIN, *_LISTS)}
    found |= {name: tuple(sorted(getattr(facts, name))) for name in _SETS}
    found |= {name: _word(getattr(facts, name)) for name in _FOLDED if name != "tool"}
    found["tool"] = _word(call.tool)
    for name in arguments:
        found[ARGUMENT + name] = tuple(_leaves(call.arguments.get(name)))
    return found


def as_known(name: str, value: Any) -> Any:
    """Return a fact's JSON value as it stands in `Known`."""
    if name in _PLAIN:
        return value
    if name in _FOLDED:
        return _word(value)
    if name.startswith(ARGUMENT):
        return tuple(_leaves(value))
    return tuple(sorted(value)) if name in _SETS else tuple(value)


def as_json(name: str, value: Any) -> Any:
    """Return a fact of `Known` as JSON has it."""
    if name in _PLAIN:
        return value
    if name in _FOLDED:
        return value[0] if value else ""
    return list(value)


def conditions(rule: Rule) -> tuple[Condition, ...]:
    """Return the conditions of a rule, the cheapest first."""
    found = [
        condition
        for name in When.model_fields
        if (wanted := getattr(rule.when, name)) is not None
        for condition in _conditions(name, wanted, rule.decision == "allow")
    ]
    return tuple(sorted(found, key=lambda condition: bool(condition.globs)))


def _conditions(name: str, wanted: Any, every: bool) -> Iterator[Condition]:
    if name == "arguments":
        for argument, globs in wanted.items():
            yield _items(name, (ARGUMENT + argument,), globs, every)
    elif name in _PLAIN:
        yield _plain(name, wanted)
    elif name == "only_effects":
        yield _items(name, ("effects",), wanted, True)
    elif name in _DERIVED:
        yield _items(name, _DERIVED[name][0], wanted, every)
    else:
        yield _items(name, (name,), wanted, every)


def _plain(name: str, wanted: bool | int) -> Condition:
    def holds(facts: Known) -> bool:
        value = facts[name]
        return bool(value) is wanted if isinstance(wanted, bool) else bool(value >= wanted)

    return Condition(name, (name,), holds, lambda facts: (str(facts[name]),))


def _items(name: str, looks: Items, wanted: bool | Items, every: bool) -> Condition:
    fact = looks[0]
    values: Callable[[Known], Items] = _DERIVED[name][1] if name in _DERIVED else lambda facts: facts[fact]
    if isinstance(wanted, bool):
        return Condition(name, looks, lambda facts: bool(values(facts)) is wanted, values)
    matches = matcher(wanted, paths=fact in _PATHS, strict=every)

    def holds(facts: Known) -> bool:
        items = values(facts)
        return bool(items) and (all if every else any)(map(matches, items))

    return Condition(name, looks, holds, lambda facts: tuple(filter(matches, values(facts))), wanted)


def closed_hosts(facts: Known) -> Items:
    """Return the hosts that are wanted and were not opened."""
    hosts: Items = facts["hosts"]
    if not hosts:
        return ()
    opened = [_name(host) for host in facts["open_hosts"]]
    return tuple(host for host in hosts if not any(_opens(each, _name(host)) for each in opened))


def strange_options(facts: Known) -> Items:
    """Return the words of commands by which a program may run something else."""
    return tuple(dict.fromkeys(word for line in facts["commands"] for word in strange_words(line)))


# Conditions on what follows from facts: those facts, and what follows.
_DERIVED: dict[str, tuple[Items, Callable[[Known], Items]]] = {
    "closed_hosts": (("hosts", "open_hosts"), closed_hosts),
    "options": (("commands",), strange_options),
}


def _opens(opened: tuple[str, str], wanted: tuple[str, str]) -> bool:
    (pattern, port), (name, wanted_port) = opened, wanted
    if wanted_port and wanted_port not in ((port,) if port else ("80", "443")):
        return False
    return name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _name(host: str) -> tuple[str, str]:
    """Return a host's name in one spelling, and its port, which may be empty."""
    name, colon, port = host.strip().lower().rpartition(":")
    if not colon or not port.isdigit() or (":" in name and not name.endswith("]")):
        name, port = host.strip().lower(), ""
    return name.strip("[]").rstrip("."), port


def _word(value: str) -> Items:
    return (value,) if value else ()


def _leaves(value: Any) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield json.dumps(value, default=str)
