"""An engine in a process of its own, so that its end is not the kernel's."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from llmasos.errors import ModelError
from llmasos.models.engines._child import WORKER, Child
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Embeddings,
    EngineDied,
    Footprint,
    LoadPlan,
    OutOfMemory,
    Turn,
)
from llmasos.models.engines.wire import CREDIT, Frame, Wire, kind, raised, unpacked

# Beyond that it does not answer any more: one step, and freeing a large model, take less.
_CANCEL_SECONDS = 60.0
_CLOSE_SECONDS = 10.0
# Templates of models are programs, which may not end.
_ANSWER_SECONDS = 300.0
_LOAD_SECONDS = 600.0
_SLOWEST_READ = 5 * 2**20


class _Request:
    """A request under way: its chunks, and its answer."""

    def __init__(self) -> None:
        self.ended = False
        self.value: Any = None
        self.error: ModelError | None = None
        self.chunks: deque[Chunk] = deque()
        self._changed = anyio.Event()

    def put(self, chunk: Chunk) -> None:
        """Take a chunk."""
        self.chunks.append(chunk)
        self._changed.set()

    def end(self, value: Any = None, error: ModelError | None = None) -> None:
        """Take the answer, after which nothing comes."""
        if not self.ended:
            self.ended, self.value, self.error = True, value, error
            self._changed.set()

    async def answer(self) -> Any:
        """Wait for the answer and return its value.

        Raises:
            ModelError: The engine failed.
        """
        while not self.ended:
            await self.changed()
        if self.error is not None:
            raise self.error
        return self.value

    async def changed(self) -> None:
        """Wait until there is a chunk or the answer."""
        if not self.chunks and not self.ended:
            self._changed = anyio.Event()
            await self._changed.wait()


class EngineProcess:
    """Runs an engine in a child process, through frames over a socket.

    Args:
        plan: What to load.
    """

    def __init__(self, plan: LoadPlan) -> None:
        self.name = plan.name
        self.context = plan.context
        self.slots = plan.slots
        self._plan = plan
        self._resumable: frozenset[str] = frozenset()
        self._child = Child(plan.name, self._exited)
        self._wire = Wire(self._take, self._child.kill)
        self._requests: dict[int, _Request] = {}
        self._next = 0
        self._closed = False
        self._ending = ""

    async def start(self, worker: Sequence[str] = WORKER) -> None:
        """Start the process and load the model.

        Args:
            worker: Arguments for Python, before the number of the socket.

        Raises:
            OutOfMemory: There is no room for the model.
            ModelError: It cannot be loaded.
            EngineDied: The process ended meanwhile.
        """
        try:
            await self._child.spawn(worker, self._wire)
            seconds = _LOAD_SECONDS + await anyio.to_thread.run_sync(_size, self._plan.path) / _SLOWEST_READ
            described = await self._call("load", self._plan.model_dump(mode="json"), seconds)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._end()
            raise
        self.name, self.context, self.slots = (described[key] for key in ("name", "context", "slots"))
        self._resumable = frozenset(described["resumable"])

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._child.transport is not None
        return self._child.transport.get_pid()

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request."""
        number, under_way = self._ask("stream", request.model_dump(mode="json", exclude_defaults=True))
        try:
            taken = 0
            while True:
                await under_way.changed()
                if under_way.chunks:
                    yield under_way.chunks.popleft()
                    taken += 1
                    if taken == CREDIT // 2:
                        self._wire.send({"id": number, "op": "credit", "chunks": taken})
                        taken = 0
                elif under_way.error is not None:
                    raise under_way.error
                else:
                    return
        finally:
            try:
                if not under_way.ended:
                    await self._stop(number, under_way)
            finally:
                del self._requests[number]

    def resumable(self, request: CompletionRequest) -> bool:
        """Return what the engine said of such requests when it was loaded."""
        return kind(request) in self._resumable

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Have the engine compute the prefix."""
        await self._call("prepare", [turn.model_dump() for turn in prefix])

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the prompt that the model's own chat template makes."""
        return str(await self._call("render", [list(messages), list(tools)], _ANSWER_SECONDS))

    async def count(self, request: CompletionRequest) -> int:
        """Return the tokens of the request's prompt."""
        asked = request.model_dump(mode="json", exclude_defaults=True)
        return int(await self._call("count", asked, _ANSWER_SECONDS))

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings."""
        return Embeddings.model_validate(await self._call("embed", list(texts)))

    async def footprint(self) -> Footprint:
        """Return the bytes that the model takes in the process."""
        return Footprint.model_validate(await self._call("footprint"))

    async def park(self) -> int:
        """Have the engine move its weights to the host's memory."""
        return int(await self._call("park"))

    async def unpark(self) -> None:
        """Have the engine move them back."""
        await self._call("unpark")

    async def close(self) -> None:
        """Stop what runs and end the process, whatever it does."""
        with anyio.CancelScope(shield=True):
            if not self._closed and not self._ending:
                self._ask("close")
                self._closed = True
                with anyio.move_on_after(_CLOSE_SECONDS):
                    await self._child.exited.wait()
            await self._end()

    async def _end(self) -> None:
        self._closed = True
        await self._child.end()
        self._wire.close()

    async def _call(self, op: str, value: Any = None, seconds: float = math.inf) -> Any:
        number, under_way = self._ask(op, value)
        try:
            with anyio.move_on_after(seconds):
                return await under_way.answer()
            self._child.kill()
            raise EngineDied(
                f"The engine of the model {self.name} was ended: no answer in {seconds:.0f} seconds.",
                hint="Ask again to load it; if that happens again, its files may be hostile.",
            )
        finally:
            if not under_way.ended:
                self._wire.send({"id": number, "op": "cancel"})
            del self._requests[number]

    def _ask(self, op: str, value: Any = None) -> tuple[int, _Request]:
        if self._closed or self._ending:
            raise self._gone()
        self._next += 1
        self._wire.send({"id": self._next, "op": op, "value": value})
        under_way = self._requests[self._next] = _Request()
        return self._next, under_way

    async def _stop(self, number: int, under_way: _Request) -> None:
        """Stop a stream, and wait until what it used is free."""
        self._wire.send({"id": number, "op": "cancel"})
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CANCEL_SECONDS) as patience:
            while not under_way.ended:
                under_way.chunks.clear()
                await under_way.changed()
        if patience.cancelled_caught:
            self._child.kill()

    def _take(self, frame: Frame) -> None:
        under_way = self._requests.get(frame["id"])
        if under_way is None:
            return
        if "chunk" in frame:
            under_way.put(unpacked(frame["chunk"]))
        else:
            under_way.end(frame["end"], raised(frame["error"]) if "error" in frame else None)

    def _exited(self) -> None:
        self._ending = self._child.ending()
        for under_way in self._requests.values():
            under_way.end(error=self._gone())

    def _gone(self) -> ModelError:
        if self._closed:
            return ModelError(f"The model {self.name} was unloaded.", hint="Ask again to load it.")
        return EngineDied(
            f"The engine of the model {self.name} died: {self._ending}.",
            hint="Ask again to load it; the kernel's log has what it said.",
        )


def _size(path: Path) -> int:
    files = path.glob("*.safetensors") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


async def load_process(plan: LoadPlan) -> EngineProcess:
    """Load a model into a process of its own.

    Raises:
        OutOfMemory: There is no room for it.
        ModelError: Its files cannot be loaded, or its engine is not installed.
    """
    engine = EngineProcess(plan)
    try:
        await engine.start()
    except EngineDied as error:
        if "SIGKILL" not in error.message:
            raise
        # So Linux ends what takes more memory than there is.
        raise OutOfMemory(error.message, hint="Unload other models, or load a smaller one.") from error
    return engine
