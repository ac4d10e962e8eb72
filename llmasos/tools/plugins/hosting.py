"""What a running plugin asks of the kernel, carried out as far as it has declared it."""

from __future__ import annotations

import itertools
import logging
import math
import posixpath
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import anyio.to_thread

from llmasos.display import display
from llmasos.errors import ToolError
from llmasos.sandbox import LARGEST_ARTIFACT, MOST_ARTIFACTS, Artifact, name_artifacts
from llmasos.sandbox.worker.channel import parse
from llmasos.tools.kernel import KernelContext
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.running import LARGEST_RESULT
from llmasos.tools.schema import problems

_log = logging.getLogger(__name__)
_PIECE = 8_000_000
_LARGEST_SAVED = 60_000_000
_LONGEST_LINE = 2000
_LONGEST_TRACE = 5000
_MOST_ASKED = 100_000
_MOST_TOKENS = 32_000
_MOST_STREAMED = 1_000_000
_STEP_SECONDS = 0.05
_MOST_LISTED = 10_000


class Exchange(Protocol):
    """The folder through which files come to a call and leave it."""

    async def put(self, name: str, data: bytes) -> None:
        """Write a file."""

    async def get(self, name: str, limit: int) -> bytes:
        """Return what a file holds, and one byte more than `limit` when it is larger."""


class Hosting:
    """Carries out what one call of a tool asks for; nothing that the call says is believed.

    Args:
        context: What the kernel gives a running tool.
        tool: The tool, with what it has declared.
        arguments: The call's arguments.
        exchange: Where its files come and go.
    """

    def __init__(
        self, context: KernelContext, tool: Definition, arguments: Mapping[str, Any], exchange: Exchange
    ) -> None:
        self._context = context
        self._tool = tool
        self._needs = tool.declaration
        self._arguments = arguments
        self._exchange = exchange
        self._numbers = itertools.count(1)
        self._kept = 0
        self._streamed = 0
        self._next_step = self._last_step = 0.0
        self._told: Mapping[str, Any] | None = None
        self._requests: Mapping[str, Callable[..., Awaitable[object]]] = {
            "arguments": self._give_arguments,
            "list": self._list,
            "fetch": self._fetch,
            "save": self._save,
            "ask": self._ask,
            "secret": self._secret,
            "keep": self._keep,
            "piece": self._piece,
            "log": self._log,
            "progress": self._progress,
            "cancelled": self._cancelled,
            "result": self._result,
        }

    async def __call__(self, name: str, arguments: Mapping[str, Any]) -> object:
        """Carry out one thing.

        Raises:
            ToolError: The tool has not declared it, or it cannot be done.
        """
        request = self._requests.get(name)
        if request is None:
            raise ToolError(f"Nothing is called {name!r} here.")
        try:
            return await request(**arguments)
        except TypeError as error:
            # What the context of a tool sends always fits; code may send anything.
            raise ToolError(f"{name} cannot be asked for like this: {error}") from error

    async def result(self) -> object:
        """Return what the tool returned.

        Raises:
            ToolError: It failed, returned nothing at all, or not what it has declared.
        """
        told = self._told
        if told is None:
            raise ToolError(f"{self._tool.name} ended without a result.")
        if "failed" in told:
            raise ToolError(
                str(told["failed"])[:_LONGEST_LINE], hint=str(told.get("hint", ""))[:_LONGEST_LINE]
            )
        if "raised" in told:
            trace = display(str(told.get("trace", ""))[:_LONGEST_TRACE], keep_newlines=True)
            _log.warning("the tool %s raised\n%s", self._tool.name, trace)
            raise ToolError(f"{self._tool.name} raised {str(told['raised'])[:_LONGEST_LINE]}")
        try:
            value = parse(str(told.get("value"))[: LARGEST_RESULT + 1].encode("utf-8", "surrogatepass"))
        except ValueError:
            raise ToolError(f"{self._tool.name} returned what is no JSON.") from None
        if wrong := await anyio.to_thread.run_sync(problems, value, self._tool.returns):
            raise ToolError(f"{self._tool.name} did not return what it has declared: {'; '.join(wrong)}.")
        return value

    async def _give_arguments(self) -> object:
        return dict(self._arguments)

    async def _list(self, path: str, pattern: str) -> list[str]:
        await self._within(path, self._needs.reads, "reads")
        listing = await self._context.sandbox.list(str(path), pattern=str(pattern), limit=_MOST_LISTED)
        return [entry.path for entry in listing.entries if entry.kind == "file"]

    async def _fetch(self, path: str) -> list[str]:
        await self._within(path, self._needs.reads, "reads")
        number, names, offset = next(self._numbers), list[str](), 0
        while True:
            content = await self._context.sandbox.read(str(path), offset=offset, limit=_PIECE)
            names.append(f"piece-{number}.{len(names)}")
            await self._exchange.put(names[-1], content.data)
            offset += len(content.data)
            if offset >= content.size or not content.data:
                return names

    async def _save(self, path: str, name: str) -> None:
        await self._within(path, self._needs.writes, "writes")
        data = await self._exchange.get(_plain(name), _LARGEST_SAVED)
        if len(data) > _LARGEST_SAVED:
            raise ToolError(f"{path}: more than {_LARGEST_SAVED:,} bytes cannot be written at once.")
        await self._context.sandbox.write(str(path), data)

    async def _ask(self, text: str, instructions: str, max_tokens: int) -> str:
        if not self._needs.models:
            raise self._undeclared("asks models", "models=True")
        if len(str(text)) + len(str(instructions)) > _MOST_ASKED:
            raise ToolError(f"The model can be asked {_MOST_ASKED:,} characters at most.")
        most = max(1, min(int(max_tokens), _MOST_TOKENS))
        return await self._context.ask(str(instructions), str(text), max_tokens=most)

    async def _secret(self, name: str) -> str:
        if name not in self._needs.secrets:
            raise self._undeclared(f"is given the secret {name!r}", f"secrets=[{name!r}]")
        kept = self._context.settings.tools.secrets.get(name)
        if kept is None:
            raise ToolError(
                f"{self._tool.name} needs the secret {name}, which is not stored.",
                hint=f"Store it in config.toml, under [tools.secrets], as {name}.",
            )
        return kept.get_secret_value()

    async def _keep(self, name: str, file: str) -> None:
        if self._kept >= MOST_ARTIFACTS:
            raise ToolError(f"{MOST_ARTIFACTS} files are the most that a call may hand out.")
        data = await self._exchange.get(_plain(file), LARGEST_ARTIFACT)
        if len(data) > LARGEST_ARTIFACT:
            raise ToolError(f"{name}: {LARGEST_ARTIFACT:,} bytes are the most that can be handed out.")
        self._kept += 1
        found: tuple[Artifact, ...] = name_artifacts([(str(name)[:200], data)], self._kept)
        await self._context.keep(found)

    async def _piece(self, text: str) -> None:
        self._show("stdout", str(text))

    async def _log(self, text: str) -> None:
        self._show("stderr", f"{str(text)[:_LONGEST_LINE]}\n")

    async def _progress(self, what: str, done: float, total: float, unit: str) -> None:
        label = str(what)[:200] or self._tool.name
        done, total, now = float(done), float(total), time.monotonic()
        if not (math.isfinite(done) and math.isfinite(total)):
            return
        if now >= self._next_step or (done >= total and done != self._last_step):
            self._next_step, self._last_step = now + _STEP_SECONDS, done
            self._context.progress(label, done, total, str(unit)[:40])

    async def _cancelled(self) -> bool:
        return False

    async def _result(self, **told: object) -> None:
        if self._told is None:
            self._told = told

    def _show(self, stream: str, text: str) -> None:
        left = _MOST_STREAMED - self._streamed
        # An empty piece is one, too.
        self._streamed += max(1, len(text))
        if left > 0 and text:
            self._context.output(stream, text[:left])

    async def _within(self, path: str, declared: bool | tuple[str, ...], what: str) -> None:
        """Refuse a path that the tool has not declared.

        Links are followed, so that what lies elsewhere is not reached by them.
        """
        if declared is True:
            return
        names = declared or ()
        if not names:
            raise self._undeclared(f"{what} files", f"{what}=True")
        real = await self._context.sandbox.realpath(str(path))
        for given in (self._arguments.get(name) for name in names):
            for one in given if isinstance(given, list) else [given]:
                # An empty text names nothing, not the whole folder.
                if isinstance(one, str) and one:
                    top = await self._context.sandbox.realpath(one)
                    if real == top or real.startswith(posixpath.join(top, "")):
                        return
        raise ToolError(
            f"{self._tool.name} {what} what its arguments {', '.join(names)} name, and {path} is none of it."
        )

    def _undeclared(self, what: str, how: str) -> ToolError:
        return ToolError(
            f"{self._tool.name} has not declared that it {what}.", hint=f"Its author can: @tool({how})."
        )


def _plain(name: str) -> str:
    """Return a name that leads nowhere else.

    Raises:
        ToolError: It is none.
    """
    if not isinstance(name, str) or "/" in name or name in ("", ".", ".."):
        raise ToolError(f"{name!r} is not the name of a file of this call.")
    return name
