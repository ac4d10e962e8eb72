"""MCP servers: tools of other programs, listed once a person has seen them, and called through the gate."""

from llmasos.tools.mcp.servers import Servers

__all__ = ["Servers"]
