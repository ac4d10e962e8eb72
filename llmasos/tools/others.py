"""Tools of others: of plugins and of MCP servers, by one set of names."""

from __future__ import annotations

from typing import Protocol

from llmasos.api import PluginInfo

_SERVER = "mcp:"


class Source(Protocol):
    """Brings tools that a person enables."""

    async def refresh(self) -> list[str]:
        """Offer what is enabled and still the same, and return what a person should know."""

    async def all(self) -> list[PluginInfo]:
        """Return everything that could be enabled."""

    async def show(self, name: str) -> PluginInfo:
        """Return one with its tools."""

    async def enable(self, name: str, sha256: str, *, in_kernel: bool = False) -> PluginInfo:
        """Offer its tools."""

    async def disable(self, name: str) -> PluginInfo:
        """Offer its tools no longer."""


class Others:
    """Plugins and servers together; the names of servers begin with `mcp:`.

    Args:
        plugins: The plugins.
        servers: The servers.
    """

    def __init__(self, plugins: Source, servers: Source) -> None:
        self._plugins = plugins
        self._servers = servers

    async def refresh(self) -> list[str]:
        """Offer what is enabled and still the same, and return what a person should know."""
        return [*await self._plugins.refresh(), *await self._servers.refresh()]

    async def all(self) -> list[PluginInfo]:
        """Return all plugins, then all servers."""
        return [*await self._plugins.all(), *await self._servers.all()]

    async def show(self, name: str) -> PluginInfo:
        """Return one with its tools."""
        source, own = self._of(name)
        return await source.show(own)

    async def enable(self, name: str, sha256: str, *, in_kernel: bool = False) -> PluginInfo:
        """Offer the tools of one, as they were looked at."""
        source, own = self._of(name)
        return await source.enable(own, sha256, in_kernel=in_kernel)

    async def disable(self, name: str) -> PluginInfo:
        """Offer the tools of one no longer."""
        source, own = self._of(name)
        return await source.disable(own)

    def _of(self, name: str) -> tuple[Source, str]:
        if name.startswith(_SERVER):
            return self._servers, name.removeprefix(_SERVER)
        return self._plugins, name
