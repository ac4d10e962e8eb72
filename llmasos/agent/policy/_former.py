"""The former policies, which look only at the tool and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Protocol

from llmasos.decisions import Decision
from llmasos.tools import Tool

VERSION = "1"

# Folders and files that the person's own programs run or obey once they are committed.
_TAKES_EFFECT_LATER = (".git", ".hg", ".svn", ".envrc", ".vscode", ".idea", ".github", ".gitmodules")


class Policy(Protocol):
    """Decides on a call; pure, so that the same call always gets the same answer."""

    def decide(self, tool: Tool, arguments: Mapping[str, Any]) -> Decision:
        """Return the decision on a call with validated arguments."""


class DefaultPolicy:
    """Reading is allowed, changes go to the view, the network is denied, anything else asks."""

    def decide(self, tool: Tool, arguments: Mapping[str, Any]) -> Decision:
        """Return the decision on a call with validated arguments; deny beats ask beats allow."""
        needs = tool.capabilities
        if needs.network:
            return Decision(
                verdict="deny",
                rules=("network",),
                reason=f"{tool.name} wants the network ({', '.join(needs.network)}), which is closed.",
            )
        for name in needs.targets:
            if risky := _takes_effect_later(arguments.get(name)):
                return Decision(
                    verdict="ask",
                    rules=("takes-effect-later",),
                    reason=f"{arguments[name]} is in {risky}, which your own programs obey.",
                )
        if needs.executes or needs.writes:
            return Decision(
                verdict="allow", rules=("view",), reason="It runs in the sandbox and changes only the view."
            )
        if needs.reads or needs.asks_model:
            return Decision(verdict="allow", rules=("read",), reason="It only reads the workspace.")
        return Decision(
            verdict="ask", rules=("undeclared",), reason=f"{tool.name} does not declare what it needs."
        )


class InPlacePolicy:
    """The policy of a session that works on the folder itself, so that what it allows says so.

    Args:
        policy: What decides.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def decide(self, tool: Tool, arguments: Mapping[str, Any]) -> Decision:
        """Return the decision, with a rule of its own for changes, which no view holds back."""
        decision = self._policy.decide(tool, arguments)
        if decision.rule != "view":
            return decision
        return Decision(
            verdict="allow",
            rules=("in-place",),
            reason="The person chose to have the folder itself worked on.",
        )


def _takes_effect_later(path: object) -> str:
    if not isinstance(path, str):
        return ""
    parts = PurePosixPath(path).parts
    return next((part for part in parts if part.casefold() in _TAKES_EFFECT_LATER), "")
