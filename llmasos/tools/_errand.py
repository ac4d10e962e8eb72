"""One item of a map, run on a worker: in a sandbox that sees what was sent along, and nothing else."""

from __future__ import annotations

import asyncio
import functools
import shlex
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from llmasos.config import SandboxLimits, Settings, load_settings
from llmasos.errors import LLMasOSError
from llmasos.sandbox import (
    Outcome,
    Sandbox,
    SandboxProvider,
    choose_provider,
    lay_out,
    private_sandbox,
    sweep_private,
)
from llmasos.sandbox.workspace.removal import remove

_CLEAR = ("find", "/tmp", "/dev/shm", "-mindepth", "1", "!", "-path", "/tmp/home", "-delete")  # noqa: S108
_OWN_TMP = ("bubblewrap", "docker")
_CLEAR_SECONDS = 30.0
_PLACES = ("{}", "{/}", "{.}", "{/.}")


@dataclass(frozen=True, eq=False)
class Rules:
    """How every item of a map is run.

    Args:
        command: A line of bash with places for the item: `{}`, `{.}` less its suffix, `{/}` and `{/.}` less
            its folders; a line without one gets the item at its end.
        code: Python that defines `run(item)`, where there is no command.
        seconds: How long each may take.
        sandbox: Which sandbox is used.
        limits: What each may use.
        along: What every item sees beside its own file, by path.
        settings: This machine's settings; another machine has its own.
    """

    command: str
    code: str
    seconds: float
    sandbox: str
    limits: SandboxLimits
    along: dict[str, bytes] = field(default_factory=dict)
    settings: Settings | None = None


@dataclass(frozen=True)
class Item:
    """What a map runs over: a text, or a file's path with what the file holds."""

    text: str
    content: bytes | None = None


def line_for(command: str, item: str, *, file: bool = True) -> str:
    """Return the line of bash for an item.

    Args:
        command: The line with its places.
        item: The item; it is one word of the line, whatever it holds.
        file: Whether it is a file, and no other text.
    """
    if not any(place in command for place in _PLACES):
        command = f"{command} {{}}"
    path = PurePosixPath(item)
    # A file whose name begins with a dash is no option.
    whole = f"./{item}" if file and item.startswith("-") else item
    stem = whole[: len(whole) - len(path.suffix)] if path.suffix else whole
    texts = {"{/.}": path.stem, "{.}": stem, "{/}": path.name, "{}": whole}
    parts, rest = [], command
    while rest:
        at, place = min(
            ((rest.find(place), place) for place in texts if place in rest), default=(len(rest), "")
        )
        parts += [rest[:at], shlex.quote(texts[place]) if place else ""]
        rest = rest[at + len(place) :]
    return "".join(parts)


def carry_out(rules: Rules, item: Item) -> Outcome:
    """Run one item in a sandbox, and return what became of it.

    Raises:
        SandboxError: This machine has no sandbox.
    """
    return _loop().run(_desk(rules).carry_out(item))


class Desk:
    """A sandbox of this process, cleared between items and replaced when something went wrong in it.

    Args:
        rules: How items are run.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._provider: SandboxProvider | None = None
        self._sandbox: Sandbox | None = None
        self._folder = Path()
        self._opened = AsyncExitStack()

    async def carry_out(self, item: Item) -> Outcome:
        """Run one item."""
        rules = self._rules
        try:
            sandbox = await self._cleared()
            self._lay_out(item)
            if rules.command:
                line = line_for(rules.command, item.text, file=item.content is not None)
                outcome = await sandbox.run_command(line, timeout=rules.seconds)
            else:
                program = _program(rules.code, item.text)
                outcome = await sandbox.run_python(program, timeout=rules.seconds, fresh=True)
        except BaseException:
            await self.close()
            raise
        if outcome.status not in ("ok", "failed"):
            await self.close()
        return outcome

    async def close(self) -> None:
        """End the sandbox."""
        self._sandbox = None
        await self._opened.aclose()

    async def leave(self) -> None:
        """End the sandbox, and what opens others."""
        await self.close()
        if self._provider is not None:
            await self._provider.close()

    async def _cleared(self) -> Sandbox:
        """Return the sandbox, with nothing left in it of the item before."""
        # Elsewhere /tmp is the machine's.
        if self._sandbox is not None and not self._sandbox.lost and self._sandbox.backend in _OWN_TMP:
            try:
                for entry in self._folder.iterdir():
                    remove(str(entry))
                if (await self._sandbox.run_command(_CLEAR, timeout=_CLEAR_SECONDS)).status == "ok":
                    return self._sandbox
            except (OSError, LLMasOSError):
                # What cannot be cleared is thrown away.
                pass
        await self.close()
        settings = _settings(self._rules)
        if self._provider is None:
            sweep_private(settings)
            self._provider = await choose_provider(settings)
        opened = private_sandbox(self._provider, settings, {})
        sandbox, self._folder = await self._opened.enter_async_context(opened)
        self._sandbox = sandbox
        return sandbox

    def _lay_out(self, item: Item) -> None:
        own = {} if item.content is None else {item.text: item.content}
        lay_out(self._folder, {**self._rules.along, **own})


def _program(code: str, item: str) -> str:
    shown = "_value if isinstance(_value, str) else json.dumps(_value, ensure_ascii=False, default=str)"
    return f"{code}\n\n_value = run({item!r})\nif _value is not None:\n    import json\n    print({shown})\n"


def _settings(rules: Rules) -> Settings:
    settings = rules.settings or load_settings()
    # A sandbox that nobody has asked for yet would take the cores from those at work.
    chosen: dict[str, Any] = {"sandbox": rules.sandbox, "sandbox_limits": rules.limits, "sandbox_pool": 0}
    return settings.model_copy(update=chosen)


def _desk(rules: Rules) -> Desk:
    """Return the desk of a map; the one of the map before is closed."""
    desks = _desks()
    if rules not in desks:
        for old in list(desks):
            _loop().run(desks.pop(old).leave())
        desks[rules] = Desk(rules)
    return desks[rules]


@functools.cache
def _desks() -> dict[Rules, Desk]:
    return {}


@functools.cache
def _loop() -> asyncio.Runner:
    """Return the loop that this process opens its sandboxes in, one item after the other."""
    # A worker of Ray may have chosen another loop, in which sandboxes do not start.
    return asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
