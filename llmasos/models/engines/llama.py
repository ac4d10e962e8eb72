"""The engine for GGUF files: llama.cpp inside this process."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.to_thread

from llmasos.errors import ModelError
from llmasos.models.catalog.estimate import waiting_bytes
from llmasos.models.catalog.header import read_header
from llmasos.models.engines._prefix import PrefixCache
from llmasos.models.engines.llama_constraint import Constraint
from llmasos.models.engines.llama_output import Output
from llmasos.models.engines.llama_request import completion_body, scales
from llmasos.models.engines.llama_server import Event, LlamaServer, Signals, version
from llmasos.models.engines.llama_slots import Slot, Slots
from llmasos.models.engines.llama_states import States
from llmasos.models.engines.memory import own_memory
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    ContextExceeded,
    Embeddings,
    Footprint,
    InvalidRequest,
    LoadPlan,
    Turn,
)
from llmasos.models.engines.processors import usable_cores


class LlamaEngine:
    """Runs one GGUF model, as many requests at once as it has slots.

    Each running request has a thread that waits for the server's tokens, and a slot that keeps what was
    computed for it. A request of another tenant, or with another adapter, uses nothing of that.

    Args:
        plan: What was loaded.
        server: The server that has the model.
        prefixes: Prefixes kept on the disk.
        threads: Threads that the server computes with.
        memory: Bytes of memory of its own that the process took to load the model.
        states: States of conversations that wait outside of slots.
    """

    def __init__(
        self,
        plan: LoadPlan,
        server: LlamaServer,
        prefixes: PrefixCache,
        threads: int,
        memory: int,
        states: States,
    ) -> None:
        self.name = plan.name
        self.context = plan.context
        self.slots = plan.slots
        self._plan = plan
        self._server: LlamaServer | None = server
        self._embedder: LlamaServer | None = None
        self._embedding = threading.Lock()
        self._prefixes = prefixes
        self._threads = threads
        self._memory = memory
        self._states = states
        self._places = Slots(plan.slots)
        self._adapters = [name for name, _ in plan.adapters]
        # As many threads as slots: who finds a thread finds a slot, and the others wait their turn.
        self._pool = ThreadPoolExecutor(plan.slots, thread_name_prefix="llama")
        self._closing = threading.Event()

    @classmethod
    async def load(cls, plan: LoadPlan) -> LlamaEngine:
        """Load the model file.

        Raises:
            ModelError: The engine is not installed, or the file cannot be loaded.
        """
        signals = Signals()
        try:
            return await anyio.to_thread.run_sync(cls._load, plan)
        finally:
            signals.restore()

    @classmethod
    def _load(cls, plan: LoadPlan) -> LlamaEngine:
        threads = plan.threads or usable_cores()
        identity = f"{plan.fingerprint}:{plan.context}:{version()}"
        prefixes = PrefixCache(plan.cache_dir / "prefixes", identity)
        before = own_memory()
        server = LlamaServer.start(plan, threads)
        memory = max(0, own_memory() - before)
        states = States(waiting_bytes(read_header(plan.path), plan), plan.context)
        return cls(plan, server, prefixes, threads, memory, states)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request."""
        send, receive = anyio.create_memory_object_stream[Chunk | Exception](math.inf)
        loop = asyncio.get_running_loop()
        ended = anyio.Event()
        cancelled = threading.Event()

        def call(function: Callable[..., object], *arguments: object) -> None:
            # The loop is gone when a program ended without closing the engine.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(function, *arguments)

        def work() -> None:
            try:
                self._decode(
                    request,
                    lambda chunk: call(send.send_nowait, chunk),
                    lambda: cancelled.is_set() or self._closing.is_set(),
                )
            except Exception as error:
                call(send.send_nowait, error)

        def end() -> None:
            send.close()
            ended.set()

        finished = False
        with send, receive:
            try:
                future = self._pool.submit(work)
            except RuntimeError:
                raise self._unloaded() from None
            future.add_done_callback(lambda _: call(end))
            try:
                async for item in receive:
                    if isinstance(item, ModelError):
                        raise item
                    if isinstance(item, Exception):
                        raise ModelError(f"The engine failed: {item}.", hint="Try again.") from item
                    finished = finished or item.finish_reason is not None
                    yield item
            finally:
                cancelled.set()
                future.cancel()
                with anyio.CancelScope(shield=True):
                    await ended.wait()
        if not finished:
            raise self._unloaded()

    def resumable(self, request: CompletionRequest) -> bool:
        """Return whether the reply can go on later: a grammar begins anew, and so does a seed."""
        seeded = request.seed is not None and request.temperature > 0
        return not (request.grammar or request.json_schema or seeded)

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Compute the prefix, or restore it from the disk, and keep it for the next process."""

        def work() -> None:
            server, unscaled = self._running(), scales(self.name, self._adapters, "")
            tokens = self._prefixes.tokens(prefix, server)
            owner = ("", "")
            with self._places.take(tokens, owner, 0, self._leave) as slot:
                self._prefixes.ensure(tokens, slot, server, self._closing.is_set, unscaled, owner=owner)

        if not self._closing.is_set():
            with contextlib.suppress(RuntimeError):
                await asyncio.wrap_future(self._pool.submit(work))

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the prompt that the model's own chat template makes."""
        return await anyio.to_thread.run_sync(lambda: self._running().render(list(messages), list(tools)))

    async def count(self, request: CompletionRequest) -> int:
        """Return the tokens of the request's prompt."""
        return len(await anyio.to_thread.run_sync(lambda: self._prompt(request)))

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings."""
        if not texts or not all(texts):
            raise InvalidRequest("There is an empty text to embed.", hint="Leave it out.")
        reply = await anyio.to_thread.run_sync(lambda: self._embed(list(texts)))
        rows = sorted(reply["data"], key=lambda row: row["index"])
        return Embeddings(
            vectors=tuple(tuple(row["embedding"]) for row in rows), tokens=reply["usage"]["prompt_tokens"]
        )

    async def footprint(self) -> Footprint:
        """Return the size of the files, and the memory that the process took beside them to load them.

        That holds the cache of all slots, and what waits outside of slots is counted at its largest.
        """
        files = (self._plan.path, *(path for _, path in self._plan.adapters))
        weights = sum(path.stat().st_size for path in files)
        return Footprint(weights=weights, cache=self._memory + self._states.most)

    async def park(self) -> int:
        """Refuse: the weights already lie in the host's memory."""
        raise InvalidRequest(
            f"The model {self.name} cannot be moved to the host's memory.", hint="Unload it instead."
        )

    async def unpark(self) -> None:
        """Do nothing: it never left."""

    async def close(self) -> None:
        """Stop what runs and free the model."""
        self._closing.set()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._shutdown)

    def _shutdown(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._embedding:
            self._server = self._embedder = None
        self._states.close()

    def _running(self) -> LlamaServer:
        if self._server is None or self._closing.is_set():
            raise self._unloaded()
        return self._server

    def _unloaded(self) -> ModelError:
        return ModelError(f"The model {self.name} was unloaded.", hint="Ask again to load it.")

    def _decode(
        self, request: CompletionRequest, deliver: Callable[[Chunk], None], stop: Callable[[], bool]
    ) -> None:
        server = self._running()
        adapters = scales(self.name, self._adapters, request.adapter)
        prompt = self._prompt(request)
        tokens = [*prompt, *request.kept]
        if len(tokens) >= self.context and not request.kept:
            raise ContextExceeded(
                f"The conversation is too long for the model: {len(prompt)} tokens, and it keeps "
                f"{self.context} in view.",
                hint="Start a new session.",
            )
        output = Output(request, len(prompt), lambda text: server.tokenize(text, prompt=False))
        if len(tokens) >= self.context or len(request.kept) >= request.max_tokens:
            deliver(output.end("length"))
            return
        constraint = Constraint(request) if request.grammar or request.json_schema else None
        grammar = constraint.grammar if constraint is not None else ""
        body = {
            **completion_body(request, tokens, context=self.context, constraint=grammar),
            "lora": adapters,
        }

        def on_event(event: Event) -> bool:
            if constraint is not None:
                constraint.follow(event["content"])
                if event["stop"] and event["stop_type"] == "eos":
                    constraint.end()
            if (chunk := output.add(event)) is not None:
                deliver(chunk)
            return output.finished or stop()

        prefix: list[int] = []
        if request.prefix and not request.prompt:
            prefix = self._prefixes.tokens(request.turns[: request.prefix], server)
        owner = (request.tenant, request.adapter)
        with self._places.take(tokens, owner, len(prefix), self._leave) as slot:
            if stop():
                return
            self._states.bring(slot, tokens, len(prefix), server)
            sharing = ("", request.adapter) if request.public else owner
            self._prefixes.ensure(prefix, slot, server, stop, adapters, owner=sharing)
            body |= {"id_slot": slot.number, "cache_prompt": bool(slot.tokens)}
            slot.tokens = []
            server.complete(body, on_event)
            slot.tokens, slot.known = [*tokens, *output.tokens], len(prefix)

    def _leave(self, slot: Slot, shared: int) -> None:
        self._states.keep(slot, shared, self._running())

    def _prompt(self, request: CompletionRequest) -> list[int]:
        server = self._running()
        if not (request.prompt or request.turns):
            raise InvalidRequest("The request has no prompt.", hint="Send a text or messages.")
        text = request.prompt or server.render([turn.model_dump() for turn in request.turns], [])
        tokens = server.tokenize(text, prompt=True)
        if not tokens:
            raise InvalidRequest("The prompt has no text.", hint="Send a longer one.")
        return tokens

    def _embed(self, texts: list[str]) -> dict[str, Any]:
        with self._embedding:
            self._running()
            if self._embedder is None:
                self._embedder = LlamaServer.start_embedding(self._plan, self._threads)
            return self._embedder.embed(texts)
