"""`python -m llmasos.tools.plugins.check PLUGIN [FOLDER]`: tries a plugin as a kernel will use it.

It is imported in a jail, and the calls of its examples are made in sandboxes, on a copy of a folder of files.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio
import anyio.to_thread
from pydantic_ai.tools import ToolDefinition

from llmasos.config import Settings, load_settings
from llmasos.display import display
from llmasos.errors import LLMasOSError, ToolError
from llmasos.models.calls.syntax import forms_of, parse_call
from llmasos.sandbox import Artifact, Sandbox, SandboxProvider, choose_provider, private_sandbox
from llmasos.streams import exit_code
from llmasos.tools.kernel import KernelContext
from llmasos.tools.plugins.bundle import Bundle
from llmasos.tools.plugins.confined import run_confined
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.plugins.describing import describe
from llmasos.tools.plugins.discovery import Plugin, installed_plugins, plugins_in
from llmasos.tools.schema import Arguments, check_schema

_FILES = "examples"
_LARGEST = 60_000_000
_LONGEST = 300


@dataclass
class Trial:
    """What the tools of a plugin get while they are tried: no model, and nobody who is asked.

    Args:
        sandbox: The folder of files.
        provider: Opens sandboxes.
        settings: They have the secrets.
    """

    sandbox: Sandbox
    provider: SandboxProvider
    settings: Settings

    @property
    def seconds(self) -> float:
        """How long a call may take."""
        return self.settings.sandbox_limits.seconds

    @asynccontextmanager
    async def private(self, files: Mapping[str, bytes], hosts: Sequence[str]) -> AsyncIterator[Sandbox]:
        """Open a sandbox that sees nothing else."""
        async with private_sandbox(self.provider, self.settings, files, hosts=hosts) as (sandbox, _):
            yield sandbox

    async def ask(
        self, instructions: str, text: str, *, max_tokens: int, examples: Sequence[tuple[str, str]] = ()
    ) -> str:
        """Have no model.

        Raises:
            ToolError: Always.
        """
        raise ToolError("No model is asked while a plugin is tried.")

    async def keep(self, artifacts: Sequence[Artifact]) -> Sequence[str]:
        """Say what was handed out."""
        for artifact in artifacts:
            _say(f"    hands out {artifact.name}, {len(artifact.data):,} bytes")
        return [artifact.name for artifact in artifacts]

    def output(self, stream: str, text: str) -> None:
        """Show what it prints."""
        for line in text.splitlines():
            _say(f"    {line}")

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        """Leave progress."""


async def check(plugin: Plugin, files: Mapping[str, bytes], *, everything: bool = False) -> int:
    """Try a plugin, say what came of it, and return how many things are wrong.

    Args:
        plugin: The plugin.
        files: What the workspace holds, by path.
        everything: Make the calls, too, that reach hosts or are given secrets.
    """
    bundle = await anyio.to_thread.run_sync(Bundle.of, plugin)
    tools = await describe(plugin, bundle)
    _say(f"{plugin.name}: {len(tools)} tools, {len(bundle.archive):,} bytes of code")
    if bundle.compiled:
        _say(f"  wants {', '.join(bundle.compiled)} inside the sandbox")
    settings = load_settings().model_copy(update={"sandbox_pool": 0})
    provider = await choose_provider(settings)
    wrong = 0
    try:
        for tool in tools:
            check_schema(tool.parameters)
            _say(f"  {tool.name}: {tool.description}")
            if not tool.declaration.examples:
                _say("    has no examples; small models call tools the better for some")
            if (needs := _trust(tool)) and not everything:
                _say(f"    wants {needs}; its calls are made with --all, if you trust it with that")
                continue
            for request, call in tool.declaration.examples:
                _say(f"    {request!r}: {call}")
                async with private_sandbox(provider, settings, files) as (sandbox, _):
                    trial = cast(KernelContext, Trial(sandbox, provider, settings))
                    wrong += await _tried(trial, bundle, tool, tools, call)
    finally:
        await provider.close()
    return wrong


async def _tried(
    trial: KernelContext, bundle: Bundle, tool: Definition, tools: Sequence[Definition], call: str
) -> bool:
    """Make the call of an example, and return whether that failed."""
    try:
        made = parse_call(call, forms_of([_told(one) for one in tools]))
        if made.tool != tool.name:
            raise ToolError(f"It calls {made.tool}.")
        arguments = Arguments(tool.name, tool.parameters).validate_python(made.arguments)
        value = await run_confined(trial, bundle, tool, arguments)
    except LLMasOSError as error:
        _say(f"    FAILED: {error}")
        return True
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    _say(f"    → {text[:_LONGEST]}{' …' if len(text) > _LONGEST else ''}")
    return False


def _trust(tool: Definition) -> str:
    """Return what only those get who are trusted with it."""
    hosts = [f"to reach {host}" for host in tool.declaration.network]
    return ", ".join([*hosts, *(f"the secret {name}" for name in tool.declaration.secrets)])


def _told(tool: Definition) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name, description=tool.description, parameters_json_schema=tool.parameters
    )


def plugins_named(name: str) -> Iterator[Plugin]:
    """Yield the plugin of a name, or those in a folder.

    Raises:
        ToolError: There is none.
    """
    if Path(name).is_dir():
        yield from plugins_in(Path(name))
        return
    found = installed_plugins().get(name)
    if found is None:
        raise ToolError(
            f"There is no plugin and no folder named {name!r}.", hint="Install it, or name its folder."
        )
    if isinstance(found, str):
        raise ToolError(f"The plugin {name} cannot be used: {found}")
    yield found


def _files_in(folder: Path) -> dict[str, bytes]:
    found, size = dict[str, bytes](), 0
    for path in sorted(folder.rglob("*")) if folder.is_dir() and not folder.is_symlink() else ():
        # A link may lead to anything of the person's.
        if path.is_file() and not path.is_symlink():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
            size += len(found[path.relative_to(folder).as_posix()])
        if size > _LARGEST:
            raise ToolError(f"{folder} has more than {_LARGEST:,} bytes.")
    return found


def _say(text: str) -> None:
    print(display(text), flush=True)


def main() -> int:
    """Try plugins; 1 when anything is wrong."""
    name, *given = (word for word in sys.argv[1:] if word != "--all")
    # The author sees where their code raised.
    logging.basicConfig(format="    %(message)s", stream=sys.stdout)

    async def tried() -> int:
        wrong = 0
        for plugin in plugins_named(name):
            own = [plugin.folder / _FILES] if plugin.folder else []
            places = [Path(folder) for folder in given] or own
            files = {path: data for place in places for path, data in _files_in(place).items()}
            wrong += await check(plugin, files, everything="--all" in sys.argv)
        return wrong

    try:
        wrong = anyio.run(tried)
    except LLMasOSError as error:
        print(display(str(error), keep_newlines=True), file=sys.stderr)
        return 1
    _say("All is well." if not wrong else f"{wrong} of the calls failed.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
