"""Running a plugin's tool in the kernel's own process, where a person has granted it that."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread

from llmasos.errors import ToolError
from llmasos.paths import private_dir
from llmasos.sandbox import lay_out
from llmasos.tools.kernel import KernelContext
from llmasos.tools.plugins.bundle import Bundle
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.plugins.hosting import Hosting
from llmasos.tools.plugins.importing import ApprovedFinder
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
    """Runs the tools of plugins in threads of the kernel.

    Args:
        folder: Where the code that was approved is laid out, to be imported from.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A module that is loaded stays as it is until the kernel ends.
        self._loaded: dict[str, str] = {}
        self._loading = threading.Lock()

    async def run(
        self,
        context: KernelContext,
        plugin: str,
        bundle: Bundle,
        tool: Definition,
        arguments: Mapping[str, Any],
    ) -> object:
        """Run a call; one that is cancelled is left to itself.

        Args:
            context: What the kernel gives it.
            plugin: The plugin's name.
            bundle: Its code, as it was approved.
            tool: The tool.
            arguments: The call's arguments, which fit its schema.

        Raises:
            ToolError: It failed, took too long, or returned what it has not declared.
        """
        return await run_in_thread(context, partial(self._function, plugin, bundle, tool), tool, arguments)

    def _function(self, plugin: str, bundle: Bundle, tool: Definition) -> Callable[..., Any]:
        with self._loading:
            if plugin not in self._loaded:
                self._lay_out(bundle)
                self._loaded[plugin] = bundle.sha256
        if self._loaded[plugin] != bundle.sha256:
            raise ToolError(
                f"The kernel has loaded other code of the plugin {plugin}.",
                hint="Start it anew: llmasos stop",
            )
        function = found(tool.module, tool.name)
        place = Path(str(getattr(sys.modules[tool.module], "__file__", "")))
        if not place.is_relative_to(self._folder / bundle.sha256):
            raise ToolError(
                f"The kernel has loaded another module {tool.module}, which is not the plugin's.",
                hint="Its author has to choose another name for it.",
            )
        return function

    def _lay_out(self, bundle: Bundle) -> None:
        """Have modules imported from the code that was approved, and from nothing that was compiled of it."""
        place, code = private_dir(self._folder) / bundle.sha256, bundle.code
        shutil.rmtree(place, ignore_errors=True)
        lay_out(private_dir(place), code)
        names = {PurePosixPath(path).parts[0].removesuffix(".py") for path in code}
        sys.meta_path.insert(0, ApprovedFinder(place, names))
        importlib.invalidate_caches()


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
        except BaseException as error:
            # What would end a program ends this call.
            return {"raised": f"{type(error).__name__}: {error}"}

    return done
