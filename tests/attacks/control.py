"""Policies to compare with: one that allows everything, and one that asks on every effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from unittest.mock import patch

from llmasos.agent.policy import Call, Facts, Policy
from llmasos.decisions import Decision

Rules = Literal["ours", "none", "ask on every effect"]


def everything(call: Call, facts: Facts, policy: Policy) -> Decision:
    """Allow it."""
    return Decision(verdict="allow", rules=("everything",), reason="Everything is allowed.")


def every_effect(call: Call, facts: Facts, policy: Policy) -> Decision:
    """Ask about it, or allow it when it only reads."""
    harmless = facts.effects == {"reads"}
    return Decision(verdict="allow" if harmless else "ask", rules=("effect",), reason="It has an effect.")


@contextmanager
def imposed(rules: Rules) -> Iterator[None]:
    """Have another policy decide."""
    if rules == "ours":
        yield
    else:
        with patch("llmasos.agent.judge.decide", everything if rules == "none" else every_effect):
            yield
