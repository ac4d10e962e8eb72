"""The pages on the policy tell all conditions and all built-in rules."""

import re
from pathlib import Path

import pytest

from llmasos.agent.policy import Rule, When, builtin

DOCS = Path(__file__).parents[3] / "docs"
FIRM = 80


def rows(page: str, head: str) -> list[list[str]]:
    """Return the cells of the page's table with this head."""
    text = (DOCS / page).read_text()
    table = text[text.index(f"\n{head}\n") :].strip().split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([\w.-]+)`", cell)


def kind(rule: Rule) -> str:
    """Return what the page calls the decision of a built-in rule."""
    if rule.decision == "ask":
        return "always asked" if rule.priority >= FIRM else "asked"
    return {"deny": "denied", "allow": "allowed"}[rule.decision]


def test_every_condition_is_told_once() -> None:
    told = [name for row in rows("how-to/policy.md", "| conditions | look at |") for name in names(row[0])]
    assert sorted(name.removesuffix(".NAME") for name in told) == sorted(When.model_fields)


@pytest.mark.parametrize("called", ["denied", "always asked", "asked", "allowed"])
def test_every_built_in_rule_is_told_once(called: str) -> None:
    told = [
        name
        for row in rows("concepts/gate.md", "| | rules | what |")
        if row[0] == called
        for name in names(row[1])
    ]
    assert sorted(told) == sorted(rule.id for rule in builtin() if kind(rule) == called)
