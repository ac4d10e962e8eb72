"""Running a plugin's tool in the kernel's own process, where a person has granted it that."""

from __future__ import annotations

import importlib
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread

from llmasos.errors import ToolError
from llmasos.tools.kernel import KernelContext
from llmasos.tools.plugins.bundle import Bundle
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.plugins.discovery import Plugin
from llmasos.tools.plugins.hosting import Hosting
from llmasos.tools.running import found, report, run


@dataclass(frozen=True)
class FolderExchange:
    """A folder that the call and the kernel share."""

    folder: Path

    async def put(self, name: str, data: bytes) -> None:
        """Write a file."""
        await anyio.to_thread.run_sync((self.folder / name).write_bytes, data)

    async def get(self, name: str, limit: int) -> bytes:
        """Return what a file holds, and one byte more than `limit` when it is larger."""

        def read() -> bytes:
            with (self.folder / name).open("rb") as file:
                return file.read(limit + 1)

        return await anyio.to_thread.run_sync(read)


class Cancelled(BaseException):
    """A call was cancelled; its thread ends when it next asks for anything."""


class InKernel:
    """Runs the tools of plugins in threads of the kernel."""

    def __init__(self) -> None:
        # A module that is loaded stays as it is until the kernel ends.
        self._loaded: dict[str, str] = {}

    async def run(
        self,
        context: KernelContext,
        plugin: Plugin,
        sha256: str,
        tool: Definition,
        arguments: Mapping[str, Any],
    ) -> object:
        """Run a call; one that is cancelled is left to itself.

        Args:
            context: What the kernel gives it.
            plugin: The plugin.
            sha256: Of its code, as it was approved.
            tool: The tool.
            arguments: The call's arguments, which fit its schema.

        Raises:
            ToolError: It failed, took too long, or returned what it has not declared.
        """
        return await run_in_thread(context, partial(self._function, plugin, sha256, tool), tool, arguments)

    def _function(self, plugin: Plugin, sha256: str, tool: Definition) -> Callable[..., Any]:
        if plugin.name not in self._loaded:
            if Bundle.of(plugin).sha256 != sha256:
                raise ToolError(
                    f"The plugin {plugin.name} has changed since it was enabled.",
                    hint=f"Look at it, and enable it again: llmasos tools enable {plugin.name} --in-kernel",
                )
            importlib.invalidate_caches()
            self._loaded[plugin.name] = sha256
        if self._loaded[plugin.name] != sha256:
            raise ToolError(
                f"The kernel has loaded other code of the plugin {plugin.name}.",
                hint="Start it anew: llmasos stop",
            )
        return found(tool.module, tool.name)


async def run_in_thread(
    context: KernelContext,
    function: Callable[[], Callable[..., Any]],
    tool: Definition,
    arguments: Mapping[str, Any],
) -> object:
    """Run a call in a thread of this process; one that is cancelled is left to itself.

    Args:
        context: What the kernel gives it.
        function: Returns the tool's function; it may import it.
        tool: The tool.
        arguments: The call's arguments, which fit its schema.

    Raises:
        ToolError: It failed, took too long, or returned what it has not declared.
    """
    cancelled = threading.Event()
    with tempfile.TemporaryDirectory(prefix="llmasos-tool-", ignore_cleanup_errors=True) as name:
        hosting = Hosting(context, tool, arguments, FolderExchange(Path(name)))

        def host(request: str, asked: dict[str, Any]) -> object:
            if cancelled.is_set():
                if request == "cancelled":
                    return True
                raise Cancelled
            return anyio.from_thread.run(hosting, request, asked)

        def work() -> dict[str, Any]:
            return report(lambda: run(function(), arguments, host, Path(name)))

        try:
            with anyio.fail_after(context.seconds):
                told = await anyio.to_thread.run_sync(_unless_cancelled(work), abandon_on_cancel=True)
        except TimeoutError:
            raise ToolError(f"{tool.name} did not end within {context.seconds:.0f} s.") from None
        finally:
            cancelled.set()
    await hosting("result", told)
    return await hosting.result()


def _unless_cancelled(work: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    def done() -> dict[str, Any]:
        try:
            return work()
        except Cancelled:
            return {"failed": "It was cancelled."}

    return done
