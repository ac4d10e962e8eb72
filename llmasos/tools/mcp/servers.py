"""The MCP servers of the settings: looked at, enabled by a person, and offered as tools."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from llmasos.api import PluginInfo, PluginState, PluginTool
from llmasos.config import McpServer
from llmasos.errors import ConfigError, ToolError
from llmasos.sandbox import name_artifacts
from llmasos.tools.approvals import Approval, Approvals
from llmasos.tools.kernel import Capabilities, KernelContext, Tool
from llmasos.tools.mcp.connection import Connection, reason
from llmasos.tools.mcp.listing import RemoteTool, all_tools, as_told, fits
from llmasos.tools.mcp.results import files_of, text_of
from llmasos.tools.schema import Arguments

# So often at most, a server is asked for its tools again before one of them is called.
_FRESH_SECONDS = 60.0


class Servers:
    """The MCP servers of a kernel.

    Args:
        configured: How each is reached, by name.
        folder: Where approvals, and what programs print, are kept.
        tasks: Where connections live.
        reserved: Names that no tool of theirs can have.
        offer: Takes the tools that are offered from now on, and returns the names that others have.
        record: Told what a person has decided, before it takes effect.
    """

    def __init__(
        self,
        configured: Mapping[str, McpServer],
        folder: Path,
        tasks: TaskGroup,
        reserved: Collection[str],
        offer: Callable[[Sequence[Tool]], Sequence[str]],
        record: Callable[..., Awaitable[None]],
    ) -> None:
        self._configured = configured
        self._approvals = Approvals(folder / "servers.json", RemoteTool, record, "mcp:")
        self._connections = {
            name: Connection(name, server, folder / "mcp" / f"{name}.log", tasks)
            for name, server in configured.items()
        }
        self._reserved = frozenset(reserved)
        self._offer = offer
        self._changing = anyio.Lock()
        self._changed: set[str] = set()
        self._compared: dict[str, tuple[int, float]] = {}
        self._comparing = {name: anyio.Lock() for name in configured}

    async def refresh(self) -> list[str]:
        """Offer the tools of the servers that are enabled, and return what a person should know.

        No server is reached for that.
        """
        async with self._changing:
            return await self._refresh()

    async def _refresh(self) -> list[str]:
        try:
            approvals = await self._approvals.all()
        except ConfigError as error:
            self._offer(())
            return [str(error)]
        enabled = {name for name, approval in approvals.items() if approval.enabled}
        taken = self._offer(
            [
                self._tool(name, approvals[name].sha256, tool)
                for name in sorted(enabled & set(self._configured) - self._changed)
                for tool in approvals[name].tools
            ]
        )
        return [
            *(
                f"The MCP server {name} describes its tools otherwise than when you enabled it, and they are "
                f"not offered. Look at them, and enable it again: llmasos tools enable mcp:{name}"
                for name in sorted(enabled & self._changed)
            ),
            *(
                f"The tool {name} of an MCP server is not offered: there is another one of that name."
                for name in taken
            ),
        ]

    async def all(self) -> list[PluginInfo]:
        """Return all servers of the settings; none is reached for that."""
        approvals = await self._approvals.all()
        found = []
        for name in dict.fromkeys((*self._configured, *approvals)):
            approval = approvals.get(name)
            found.append(self._info(name, approval, approval.tools if approval else None, ""))
        return found

    async def show(self, name: str) -> PluginInfo:
        """Return a server with the tools that it has now.

        Raises:
            ToolError: There is no such server.
        """
        self._connection(name)
        approval = (await self._approvals.all()).get(name)
        try:
            tools = await self._listed(name)
        except ToolError as error:
            return self._info(name, approval, None, "", problem=str(error))
        sha256 = self._sha256(name, tools)
        await self._note(name, approval is not None and approval.sha256 != sha256)
        return self._info(name, approval, tools, sha256)

    async def enable(self, name: str, sha256: str, *, in_kernel: bool = False) -> PluginInfo:
        """Offer the tools of a server from now on.

        Args:
            name: The server.
            sha256: Of its tools as the person has seen them.
            in_kernel: Not for servers.

        Raises:
            ToolError: There is no such server, or its tools are different by now, or cannot be offered.
        """
        if in_kernel:
            raise ToolError(f"The MCP server {name} is a program of its own, and cannot run in the kernel.")
        # A server may take long, and turns wait for changes.
        tools = await self._listed(name)
        if self._sha256(name, tools) != sha256:
            raise ToolError(
                f"The MCP server {name} has changed its tools since you looked at them.",
                hint=f"Look again: llmasos tools show mcp:{name}",
            )
        for tool in tools:
            if tool.name in self._reserved:
                raise ToolError(f"There is a tool named {tool.name} already.")
        async with self._changing:
            approval = Approval[RemoteTool](sha256=sha256, tools=tuple(tools), at=datetime.now(UTC))
            told = [tool.model_dump(mode="json") for tool in tools]
            await self._approvals.enable(name, approval, tools=told)
            self._changed.discard(name)
            self._compared[name] = self._now(name)
            await self._refresh()
        return self._info(name, approval, tools, sha256)

    async def disable(self, name: str) -> PluginInfo:
        """Offer the tools of a server no longer, and end the connection.

        Raises:
            ToolError: It is not enabled.
        """
        async with self._changing:
            approval = await self._approvals.disable(name)
            await self._refresh()
        if name in self._connections:
            await self._connections[name].close()
        return self._info(name, approval, approval.tools, "")

    async def close(self) -> None:
        """End all connections."""
        for connection in self._connections.values():
            await connection.close()

    def _connection(self, name: str) -> Connection:
        if name not in self._connections:
            listed = f"There is: {', '.join(self._connections)}." if self._connections else ""
            raise ToolError(
                f"There is no MCP server named {name!r} in the settings.",
                hint=listed or f"Describe it in config.toml under [mcp.{name}].",
            )
        return self._connections[name]

    async def _listed(self, name: str) -> list[RemoteTool]:
        """Return the tools that a server has now, as far as they are wanted.

        Raises:
            ToolError: It cannot be reached, or what it says cannot be told to a model.
        """
        connection = self._connection(name)
        client = await connection.client()
        try:
            with anyio.fail_after(self._configured[name].seconds):
                found = await all_tools(client)
        except Exception as error:
            await connection.close()
            raise ToolError(f"The MCP server {name} does not list its tools: {reason(error)}.") from error
        return as_told(name, [tool for tool in found if fits(tool.name, self._configured[name].tools)])

    def _tool(self, server: str, sha256: str, tool: RemoteTool) -> Tool:
        looks = fits(tool.remote, self._configured[server].read_only)

        async def function(context: KernelContext, **arguments: Any) -> object:
            return await self._call(context, server, sha256, tool, arguments)

        return Tool(
            name=tool.name,
            description=tool.description,
            parameters=tool.parameters,
            # What a server says of itself is no ground for trust; what a person says of it is.
            capabilities=Capabilities(reads=looks, sources={"*": "mcp"}),
            function=function,
            validator=Arguments(tool.name, tool.parameters),
            origin=f"mcp:{server}",
            sha256=sha256,
        )

    async def _call(
        self,
        context: KernelContext,
        server: str,
        sha256: str,
        tool: RemoteTool,
        arguments: Mapping[str, Any],
    ) -> str:
        connection = self._connection(server)
        connection.tidy()
        client = await connection.client()
        await self._compare(server, sha256)

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            if math.isfinite(progress) and math.isfinite(total or 0.0):
                context.progress((message or tool.name)[:200], progress, total or 0.0)

        seconds = self._configured[server].seconds
        try:
            with anyio.fail_after(seconds):
                result = await client.call_tool(tool.remote, dict(arguments), progress_callback=on_progress)
        except TimeoutError:
            await connection.close()
            raise ToolError(f"{tool.name} did not answer within {seconds:.0f} s.") from None
        except Exception as error:
            await connection.close()
            raise ToolError(
                f"{tool.name} failed: {reason(error)}.", hint="The next call connects to its server anew."
            ) from error
        if files := files_of(result):
            await context.keep(name_artifacts(files, 1))
        return text_of(result)

    async def _compare(self, server: str, sha256: str) -> None:
        """See that a server says of its tools what it said when it was enabled.

        Raises:
            ToolError: It does not, or cannot be asked.
        """
        async with self._comparing[server]:
            number, now = self._now(server)
            compared, last = self._compared.get(server, (0, 0.0))
            if compared == number and now - last <= _FRESH_SECONDS:
                return
            same = self._sha256(server, await self._listed(server)) == sha256
            if same:
                self._compared[server] = self._now(server)
                return
        await self._note(server, True)
        raise ToolError(
            f"The MCP server {server} describes its tools otherwise than when it was enabled.",
            hint=f"A person can look at them and enable it again: llmasos tools enable mcp:{server}",
        )

    def _now(self, server: str) -> tuple[int, float]:
        """Return which connection to a server there is, and when."""
        return self._connections[server].opened, anyio.current_time()

    async def _note(self, name: str, changed: bool) -> None:
        """Note whether a server is another one than was enabled, and offer its tools accordingly."""
        if changed:
            self._compared.pop(name, None)
        if changed != (name in self._changed):
            (self._changed.add if changed else self._changed.discard)(name)
            await self.refresh()

    def _sha256(self, name: str, tools: Sequence[RemoteTool]) -> str:
        """Return the SHA-256 of how a server is reached, and what it says of its tools."""
        server = self._configured[name]
        told = [tool.model_dump(mode="json") for tool in sorted(tools, key=lambda tool: tool.name)]
        text = json.dumps([server.command, server.url, told], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def _info(
        self,
        name: str,
        approval: Approval[RemoteTool] | None,
        tools: Sequence[RemoteTool] | None,
        sha256: str,
        problem: str = "",
    ) -> PluginInfo:
        server = self._configured.get(name)
        state: PluginState = "new"
        if server is None:
            state = "missing"
        elif problem:
            state = "broken"
        elif approval is not None and name in self._changed:
            state = "changed"
        elif approval is not None:
            state = "enabled" if approval.enabled else "disabled"
        return PluginInfo(
            name=f"mcp:{name}",
            package=(server.url or " ".join(server.command)) if server else "",
            state=state,
            where="server",
            problem=problem,
            sha256=sha256,
            tools=None if tools is None else tuple(self._shown(name, tool) for tool in tools),
        )

    def _shown(self, server: str, tool: RemoteTool) -> PluginTool:
        configured = self._configured.get(server)
        looks = configured is not None and fits(tool.remote, configured.read_only)
        return PluginTool(
            name=tool.name,
            description=tool.description,
            parameters=tool.parameters,
            needs=("reads",) if looks else ("unknown",),
        )
