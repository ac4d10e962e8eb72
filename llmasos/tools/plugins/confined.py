"""Running a plugin's tool in a sandbox of its own, which shows nothing but its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmasos.errors import SandboxError, ToolError
from llmasos.sandbox import Sandbox
from llmasos.tools._verdicts import VERDICTS
from llmasos.tools.kernel import KernelContext
from llmasos.tools.plugins.bundle import Bundle
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.plugins.hosting import Hosting

_HOST = "_llmasos"
_CELL = """\
import sys
sys.path.insert(0, "bundle.zip")
from llmasos.tools.running import serve
serve({module!r}, {name!r}, {host})
"""
_FILES = "files"


@dataclass(frozen=True)
class SandboxExchange:
    """The folder of files inside a sandbox."""

    sandbox: Sandbox

    async def put(self, name: str, data: bytes) -> None:
        """Write a file."""
        await self.sandbox.write(f"{_FILES}/{name}", data)

    async def get(self, name: str, limit: int) -> bytes:
        """Return what a file holds, and one byte more than `limit` when it is larger."""
        return (await self.sandbox.read(f"{_FILES}/{name}", limit=limit + 1)).data


async def run_confined(
    context: KernelContext, bundle: Bundle, tool: Definition, arguments: Mapping[str, Any]
) -> object:
    """Run a call.

    Args:
        context: What the kernel gives it.
        bundle: The plugin's code.
        tool: The tool.
        arguments: The call's arguments, which fit its schema.

    Raises:
        ToolError: It failed, took too long, broke a limit, or returned what it has not declared.
    """
    if tool.declaration.gpu:
        raise ToolError(
            f"{tool.name} computes on a GPU, which sandboxes do not show.",
            hint="Let its plugin run in the kernel: llmasos tools enable NAME --in-kernel",
        )
    try:
        return await _run(context, bundle, tool, arguments)
    except SandboxError as error:
        if not tool.declaration.idempotent:
            raise ToolError(
                f"{tool.name} was cut off, and nobody knows how far it came: {error.message}"
            ) from error
    try:
        return await _run(context, bundle, tool, arguments)
    except SandboxError as error:
        raise ToolError(f"{tool.name} was cut off twice: {error.message}") from error


async def _run(
    context: KernelContext, bundle: Bundle, tool: Definition, arguments: Mapping[str, Any]
) -> object:
    async with context.private({"bundle.zip": bundle.archive}, tool.declaration.network) as sandbox:
        hosting = Hosting(context, tool, arguments, SandboxExchange(sandbox))

        async def carry_out(name: str, request: dict[str, Any]) -> object:
            asked = request.get("arguments")
            return await hosting(str(request.get("name")), asked if isinstance(asked, dict) else {})

        outcome = await sandbox.run_python(
            _CELL.format(module=tool.module, name=tool.name, host=_HOST),
            timeout=context.seconds,
            on_output=context.output,
            on_call=carry_out,
            functions={_HOST: ("name", "arguments")},
            fresh=True,
        )
    if outcome.status == "lost":
        raise SandboxError("Its process ended by itself.")
    if verdict := VERDICTS.get(outcome.status):
        raise ToolError(f"{tool.name}: {verdict}")
    return await hosting.result()
