"""Whatever can be different for another decision is told in words."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from llmasos.agent.policy import Access, Asking, Call, Facts
from llmasos.agent.policy.conditions import known
from llmasos.agent.policy.flips import _CHOICES, _CONTRARY, _HARMLESS, _OTHER
from llmasos.decisions import Effect, Identifier, SourceKind
from llmasos.flips import otherwise

NAMES = frozenset(known(Call(tool="t"), Facts()))
ONE_OF = {
    **dict.fromkeys(("effects", "gains"), get_args(Effect)),
    **dict.fromkeys(("sinks", "copied", "carries", "untrusted"), get_args(SourceKind)),
    "identifiers": get_args(Identifier),
}


def possible() -> Iterator[tuple[str, Any]]:
    """Yield the facts that rules look at, each with the values that flips give them."""
    for table in (_HARMLESS, _CONTRARY, _OTHER):
        yield from table.items()
    for name, choices in _CHOICES.items():
        yield from ((name, [choice] if name in ONE_OF else choice) for choice in choices)
    for name, choices in ONE_OF.items():
        yield from ((name, value) for value in ([], list(choices), *([choice] for choice in choices)))
    yield from (("access", access) for access in get_args(Access))
    yield from (("asking", asking) for asking in get_args(Asking))
    yield from (("given", number) for number in range(10))
    for name in ("dictated", "dynamic", "secrets", "attended", "in_place"):
        yield from ((name, value) for value in (True, False))
    for name in ("open_hosts", "hosts", "commands", "capabilities", "disguised"):
        yield from ((name, value) for value in ([], ["a", "b"]))
    yield from (("plugin", plugin) for plugin in ("", "mcp:x"))


def test_every_fact_that_rules_look_at_may_be_different() -> None:
    assert {name for name, _ in possible()} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_fact_is_told_in_words_whatever_its_value(name: str) -> None:
    values = [value for each, value in possible() if each == name]
    told = [otherwise({name: value}, "allow").removeprefix("allowed if ") for value in values]
    for value, words in zip(values, told, strict=True):
        items = value if isinstance(value, list) else [value]
        assert words and not set('"[]{}') & set(words), words
        assert not words.startswith(f"{name} were"), words
        if name in (*ONE_OF, "access", "asking", "tier"):
            assert not any(f"“{item}”" in words for item in items), words
    # No two values are told alike.
    assert len(set(told)) == len({repr(value) for value in values})


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"plugin": ""}, "the tool were one of ours"),
        ({"given": 1}, "you had named one of its values"),
        ({"effects": ["reads"]}, "it did nothing but read"),
        ({"open_hosts": ["a.b", "c"]}, "you had opened “a.b”, “c”"),
        ({"hosts": [str(n) for n in range(400)]}, "it reached “0”, “1”, “2”, “3” and 396 more"),
        ({"commands": [], "writes": ["a" * 100]}, f"it ran no command and it changed “{'a' * 79}…”"),
        ({"in_place": False}, "it changed a view of the folder only"),
        ({"folder": "/a"}, "the folder were “/a”"),
        ({"arguments.to": None}, "its argument to were left out"),
        ({"arguments.to": ["x"]}, 'its argument to were ["x"]'),
        ({"of another version": 3}, "of another version were 3"),
    ],
)
def test_facts_in_words(facts: dict[str, Any], words: str) -> None:
    assert otherwise(facts, "ask") == f"asked about if {words}"
