"""Tools: the `@tool` API, the registry and the built-in tools."""

from llmasos.tools.registry import Registry, builtin_tools, extra_tools
from llmasos.tools.tool import Capabilities, Example, Tool, ToolContext, tool

__all__ = [
    "Capabilities",
    "Example",
    "Registry",
    "Tool",
    "ToolContext",
    "builtin_tools",
    "extra_tools",
    "tool",
]
