"""One item of a map, run on a worker: in a sandbox that sees what was sent along, and nothing else."""

from __future__ import annotations

import asyncio
import functools
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from llmasos.config import SandboxLimits, Settings, load_settings
from llmasos.errors import LLMasOSError
from llmasos.paths import private_dir
from llmasos.sandbox import Outcome, Sandbox, SandboxProvider, Workspace, choose_provider
from llmasos.sandbox.provider import private_folder, sweep_folders
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


def sweep(settings: Settings) -> None:
    """Remove what processes of this machine that ended have left."""
    sweep_folders(_errands(settings))


class Desk:
    """A sandbox of this process, cleared between items and replaced when something went wrong in it.

    Args:
        rules: How items are run.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._provider: SandboxProvider | None = None
        self._sandbox: Sandbox | None = None
        self._place = Path()

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
        if self._sandbox is not None:
            sandbox, self._sandbox = self._sandbox, None
            await sandbox.close()
            remove(str(self._place))

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
                for entry in (self._place / "folder").iterdir():
                    remove(str(entry))
                if (await self._sandbox.run_command(_CLEAR, timeout=_CLEAR_SECONDS)).status == "ok":
                    return self._sandbox
            except (OSError, LLMasOSError):
                # What cannot be cleared is thrown away.
                pass
        await self.close()
        settings = _settings(self._rules)
        errands = _errands(settings)
        if self._provider is None:
            sweep_folders(errands)
            self._provider = await choose_provider(settings)
        self._place = private_folder(errands)
        folder = self._place / "folder"
        folder.mkdir()
        workspace = Workspace.open(folder, self._place / "state", in_place=True)
        self._sandbox = await self._provider.open(await workspace.view(), session=self._place.name)
        return self._sandbox

    def _lay_out(self, item: Item) -> None:
        own = {} if item.content is None else {item.text: item.content}
        for path, content in {**self._rules.along, **own}.items():
            target = self._place / "folder" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def _errands(settings: Settings) -> Path:
    return private_dir(settings.data_dir / "errands")


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
