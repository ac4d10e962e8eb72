"""Tools: `@tool` for authors, the registry and the built-in tools."""

from llmasos.errors import ToolError
from llmasos.tools.api import Declaration, ToolContext, tool
from llmasos.tools.finding import find_tools
from llmasos.tools.kernel import Capabilities, Example, KernelContext, Tool, kernel_tool
from llmasos.tools.registry import Registry, builtin_tools, extra_tools

__all__ = [
    "Capabilities",
    "Declaration",
    "Example",
    "KernelContext",
    "Registry",
    "Tool",
    "ToolContext",
    "ToolError",
    "builtin_tools",
    "extra_tools",
    "find_tools",
    "kernel_tool",
    "tool",
]
