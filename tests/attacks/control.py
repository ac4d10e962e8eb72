"""Policies to compare with: one that allows everything, and one that asks on every effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from llmasos import Kernel
from llmasos.agent.policy import Decision
from llmasos.tools import Tool

Rules = Literal["ours", "none", "ask on every effect"]


class Everything:
    """Allows everything."""

    def decide(self, tool: Tool, arguments: Mapping[str, Any]) -> Decision:
        """Allow it."""
        return Decision(verdict="allow", rule="everything", reason="Everything is allowed.")


class EveryEffect:
    """Asks about everything that does more than read."""

    def decide(self, tool: Tool, arguments: Mapping[str, Any]) -> Decision:
        """Ask about it, or allow it when it only reads."""
        needs = tool.capabilities
        harmless = needs.reads and not needs.changes and not needs.network
        return Decision(verdict="allow" if harmless else "ask", rule="effect", reason="It has an effect.")


def impose(kernel: Kernel, rules: Rules) -> None:
    """Have another policy decide in a kernel."""
    if rules != "ours":
        policy = Everything() if rules == "none" else EveryEffect()
        kernel.sessions._services = replace(kernel.sessions._services, policy=policy)
