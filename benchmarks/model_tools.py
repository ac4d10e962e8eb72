"""The built-in tools as the model is offered them."""

from __future__ import annotations

from pydantic_ai.tools import ToolDefinition

from llmasos.agent import definition
from llmasos.tools import builtin_tools


def tools() -> list[ToolDefinition]:
    """Return the definitions of the built-in tools."""
    return [definition(tool) for tool in builtin_tools()]
