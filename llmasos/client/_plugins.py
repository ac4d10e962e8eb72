"""What both clients ask about plugins."""

from __future__ import annotations

from llmasos.api import EnableRequest, PluginInfo
from llmasos.client._connection import Connection
from llmasos.client._names import path_part


class PluginCalls:
    """The part of the asynchronous client that is about plugins."""

    async def plugins(self: Connection) -> list[PluginInfo]:
        """Return the plugins that are installed or were enabled; none of them is run for that."""
        return await self.request("GET", "/v1/plugins", list[PluginInfo])

    async def plugin(self: Connection, name: str) -> PluginInfo:
        """Return a plugin with its tools; one that was not enabled is imported in a jail to find these out.

        Raises:
            RequestRefused: There is none.
        """
        return await self.request("GET", f"/v1/plugins/{path_part(name)}", PluginInfo)

    async def enable_plugin(
        self: Connection, name: str, sha256: str, *, in_kernel: bool = False
    ) -> PluginInfo:
        """Offer the tools of a plugin from now on.

        Args:
            name: The plugin.
            sha256: Of its code, as it was looked at.
            in_kernel: Run it in the kernel, and not in a sandbox.

        Raises:
            RequestRefused: It has changed since, or cannot be used.
        """
        wanted = EnableRequest(sha256=sha256, in_kernel=in_kernel)
        return await self.request("POST", f"/v1/plugins/{path_part(name)}/enable", PluginInfo, wanted)

    async def disable_plugin(self: Connection, name: str) -> PluginInfo:
        """Offer the tools of a plugin no longer.

        Raises:
            RequestRefused: It is not enabled.
        """
        return await self.request("POST", f"/v1/plugins/{path_part(name)}/disable", PluginInfo)
