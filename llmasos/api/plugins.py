"""Plugins on the wire: what is installed, and what a person has enabled."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from llmasos.api.wire import Wire

PluginState = Literal["enabled", "disabled", "new", "changed", "broken", "missing"]


class PluginTool(Wire):
    """A tool that a plugin brings.

    Args:
        needs: What it declares, as short words.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    needs: tuple[str, ...] = ()


class PluginInfo(Wire):
    """A plugin, or an MCP server, which has `mcp:` before its name.

    Args:
        state: `new` and `changed` ones wait for a person to look at them; `missing` ones are gone.
        problem: Why it cannot be used.
        sha256: Of its code as it is now; empty when it was not looked at.
        compiled: Packages it needs that a sandbox has to have.
        tools: None where they are not known without running its code.
    """

    name: str
    package: str = ""
    version: str = ""
    state: PluginState
    where: Literal["sandbox", "kernel", "server"] = "sandbox"
    problem: str = ""
    sha256: str = ""
    compiled: tuple[str, ...] = ()
    tools: tuple[PluginTool, ...] | None = None


class EnableRequest(Wire):
    """Enables a plugin.

    Args:
        sha256: Of the code that the person has seen.
    """

    sha256: str = Field(min_length=64, max_length=64)
    in_kernel: bool = False
