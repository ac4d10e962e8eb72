"""The process of one engine: `python -m llmasos.models.engines.worker SOCKET`."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import pkgutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
from pydantic import BaseModel, TypeAdapter

from llmasos.errors import ModelError
from llmasos.models.engines.memory import bound_memory
from llmasos.models.engines.port import CompletionRequest, Engine, LoadPlan, Turn
from llmasos.models.engines.wire import CREDIT, Frame, Wire, failure, kinds, packed
from llmasos.parents import end_with

# For each format the loader, and the extra that installs what it needs.
_LOADERS = {
    "gguf": ("llmasos.models.engines.llama:LlamaEngine.load", "embedded"),
    "safetensors": ("llmasos.models.engines.transformers:load_transformers", "transformers"),
}
_TURNS = TypeAdapter(tuple[Turn, ...])


async def load(plan: LoadPlan) -> Engine:
    """Load a model into this process, with the engine for its format.

    Raises:
        ModelError: The engine is not installed, or the files cannot be loaded.
    """
    place, extra = _LOADERS[plan.format]
    try:
        loader = pkgutil.resolve_name(place)
    except ImportError as error:
        raise ModelError(
            f"The engine for {plan.format} models is not installed: {error}.",
            hint=f"Install it with: pip install 'llmasos[{extra}]'.",
        ) from error
    engine: Engine = await loader(plan)
    return engine


class Worker:
    """Answers the kernel's frames with one engine.

    Args:
        tasks: Runs the requests.
        load: Loads the engine.
    """

    def __init__(self, tasks: anyio.abc.TaskGroup, load: Callable[[LoadPlan], Awaitable[Engine]]) -> None:
        self._tasks = tasks
        self._load = load
        self._engine: Engine | None = None
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._credits: dict[int, anyio.Semaphore] = {}
        # What is left to do when the kernel is gone is not worth doing.
        self.wire = Wire(self._take, lambda: os._exit(0))

    def _take(self, frame: Frame) -> None:
        number, op = frame["id"], frame["op"]
        if op == "cancel":
            if number in self._scopes:
                self._scopes[number].cancel()
        elif op == "credit":
            if number in self._credits:
                for _ in range(frame["chunks"]):
                    self._credits[number].release()
        else:
            self._scopes[number] = anyio.CancelScope()
            if op == "stream":
                self._credits[number] = anyio.Semaphore(CREDIT, max_value=None)
            self._tasks.start_soon(self._answer, number, op, frame.get("value"))

    async def _answer(self, number: int, op: str, value: Any) -> None:
        answer: Frame = {"id": number, "end": None}
        try:
            with self._scopes[number]:
                if op == "stream":
                    await self._stream(number, CompletionRequest.model_validate(value))
                else:
                    answer["end"] = _plain(await self._call(op, value))
        except Exception as error:
            answer["error"] = failure(error)
        del self._scopes[number]
        self._credits.pop(number, None)
        self.wire.send(answer)
        if op == "close":
            self._tasks.cancel_scope.cancel()

    async def _stream(self, number: int, request: CompletionRequest) -> None:
        async with contextlib.aclosing(self._running().stream(request)) as chunks:
            async for chunk in chunks:
                await self._credits[number].acquire()
                self.wire.send({"id": number, "chunk": packed(chunk)})

    async def _call(self, op: str, value: Any) -> Any:
        match op:
            case "load":
                plan = LoadPlan.model_validate(value)
                await anyio.to_thread.run_sync(bound_memory, plan)
                self._engine = await self._load(plan)
                return self._described(self._engine)
            case "prepare":
                return await self._running().prepare(_TURNS.validate_python(value))
            case "render":
                return await self._running().render(*value)
            case "count":
                return await self._running().count(CompletionRequest.model_validate(value))
            case "embed":
                return await self._running().embed(value)
            case "footprint":
                return await self._running().footprint()
            case "park":
                return await self._running().park()
            case "unpark":
                return await self._running().unpark()
            case "close":
                return await self._running().close()
        raise ValueError(op)

    def _running(self) -> Engine:
        if self._engine is None:
            raise ValueError("no model is loaded")
        return self._engine

    def _described(self, engine: Engine) -> Frame:
        resumable = [kind for kind, request in kinds().items() if engine.resumable(request)]
        return {
            "name": engine.name,
            "context": engine.context,
            "slots": engine.slots,
            "resumable": resumable,
        }


async def serve(sock: socket.socket, load: Callable[[LoadPlan], Awaitable[Engine]] = load) -> None:
    """Answer what comes over the socket, until the kernel closes the engine."""
    async with anyio.create_task_group() as tasks:
        worker = Worker(tasks, load)
        await asyncio.get_running_loop().create_connection(lambda: worker.wire, sock=sock)
        await anyio.sleep(math.inf)


def main() -> None:
    """Serve on the socket whose number is the argument."""
    # Ctrl-C in a terminal is meant for the kernel, and without the kernel nobody uses the engine.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(os.getppid())
    anyio.run(serve, socket.socket(fileno=int(sys.argv[1])))
    # The engine is closed; what its libraries would still do at the end can only go wrong.
    os._exit(0)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


if __name__ == "__main__":
    main()
