"""The embedded engine: llama.cpp inside this process."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

from llmasos.errors import ModelError
from llmasos.models.engines._prefix import PrefixCache
from llmasos.models.engines.port import Chunk, CompletionRequest, ContextExceeded, TokenUsage, Turn

# One batch is the unit in which a cancelled prompt stops: small enough to be prompt, large enough
# not to slow reading down.
_BATCH = 128
_HOST_CACHE_MIB = 256

T = TypeVar("T")


class LlamaEngine:
    """Runs one GGUF model on the processor, one request at a time.

    All calls into llama.cpp happen on one thread of its own, in order.

    Args:
        name: The model's name.
        server: The loaded `xllamacpp.Server`.
        prefixes: Prefixes kept on the disk.
        context: Tokens of prompt and output together.
    """

    def __init__(
        self, name: str, server: Any, prefixes: PrefixCache, context: int, pool: ThreadPoolExecutor
    ) -> None:
        self.name = name
        self.context = context
        self._server: Any | None = server
        self._prefixes = prefixes
        self._pool = pool
        self._closing = threading.Event()

    @classmethod
    async def load(
        cls,
        path: Path,
        *,
        name: str,
        fingerprint: str,
        cache_dir: Path,
        context: int = 8192,
        threads: int = 0,
    ) -> LlamaEngine:
        """Load the model file.

        Args:
            path: A GGUF file.
            name: The model's name.
            fingerprint: Identifies the weights; kept prefixes of other weights are not used.
            cache_dir: Where prefixes are kept between processes.
            context: Tokens of prompt and output together.
            threads: Threads to compute with; 0 takes as many as this process may use.

        Raises:
            ModelError: The engine is not installed, or the file cannot be loaded.
        """
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llama")

        def work() -> tuple[Any, PrefixCache]:
            return _load(path, fingerprint, cache_dir, context, threads or _threads())

        try:
            server, prefixes = await _on(pool, work)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return cls(name, server, prefixes, context, pool)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request."""
        send, receive = anyio.create_memory_object_stream[Chunk | ModelError](math.inf)
        loop = _Loop()
        cancelled = threading.Event()

        def deliver(item: Chunk | ModelError) -> None:
            # The receiver is gone when a cancelled decoding reports its last token.
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                loop.call(send.send_nowait, item)

        def work() -> None:
            try:
                self._decode(request, deliver, lambda: cancelled.is_set() or self._closing.is_set())
            except ModelError as error:
                deliver(error)
            except Exception as error:
                deliver(ModelError(f"The engine failed: {error}.", hint="Try again."))

        finished = False
        with receive:
            try:
                self._submit(work).add_done_callback(lambda _: loop.call(send.close))
                async for item in receive:
                    if isinstance(item, ModelError):
                        raise item
                    finished = finished or item.finish_reason is not None
                    yield item
            finally:
                cancelled.set()
                send.close()
        if not finished:
            raise ModelError(f"The model {self.name} stopped without finishing.", hint="Try again.")

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Compute the prefix, or restore it from the disk, and keep it for the next process."""
        if not self._closing.is_set():
            await _on(self._pool, lambda: self._prepare(prefix))

    async def close(self) -> None:
        """Stop what runs and free the model."""
        self._closing.set()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._shutdown)

    def _shutdown(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._server = None

    def _submit(self, work: Callable[[], None]) -> Future[None]:
        try:
            return self._pool.submit(work)
        except RuntimeError as error:
            raise ModelError(f"The model {self.name} was unloaded.", hint="Ask again to load it.") from error

    def _prepare(self, prefix: tuple[Turn, ...]) -> None:
        if self._server is not None and not self._closing.is_set():
            self._prefixes.ensure(prefix, self._server, self._closing.is_set)

    def _decode(
        self, request: CompletionRequest, deliver: Callable[[Chunk], None], stop: Callable[[], bool]
    ) -> None:
        if self._server is None or stop():
            return
        if request.prefix:
            self._prefixes.ensure(request.turns[: request.prefix], self._server, stop)
        failure: list[dict[str, Any]] = []
        reason: list[str] = []

        def on_chunk(data: dict[str, Any]) -> bool:
            if "error" in data:
                failure.append(data["error"])
                return True
            for choice in data.get("choices", ()):
                if text := choice["delta"].get("content"):
                    deliver(Chunk(text=text))
                if choice["finish_reason"]:
                    reason.append(choice["finish_reason"])
            if usage := data.get("usage"):
                cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
                deliver(
                    Chunk(
                        finish_reason="length" if "length" in reason else "stop",
                        usage=TokenUsage(
                            input=usage["prompt_tokens"], cached=cached, output=usage["completion_tokens"]
                        ),
                    )
                )
            return stop()

        self._server.handle_chat_completions(_body(request), on_chunk)
        if failure:
            raise _failure(failure[0])


def _body(request: CompletionRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": [turn.model_dump() for turn in request.turns],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "repeat_penalty": request.repeat_penalty,
        "cache_prompt": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        # Progress is reported between batches, which is where a cancelled prompt can stop.
        "return_progress": True,
    }
    if request.grammar:
        body["grammar"] = request.grammar
    return body


def _failure(error: dict[str, Any]) -> ModelError:
    message = str(error.get("message", "unknown error"))
    if error.get("type") == "exceed_context_size_error":
        return ContextExceeded(
            f"The conversation is too long for the model: {message}.", hint="Start a new session."
        )
    return ModelError(f"The engine refused the request: {message}.", hint="Try again.")


def _load(
    path: Path, fingerprint: str, cache_dir: Path, context: int, threads: int
) -> tuple[Any, PrefixCache]:
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelError(
            "The embedded engine is not installed.",
            hint="Install it with: pip install 'llmasos[embedded]', or set LLMASOS_MODEL_URL.",
        ) from error
    secret = secrets.token_urlsafe(32)
    prefixes = PrefixCache(cache_dir / "prefixes", f"{fingerprint}:{context}:{xllamacpp.__version__}", secret)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = _BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = _HOST_CACHE_MIB
    params.warmup = False
    params.verbosity = -1
    # The server listens on a loopback port of its own choosing; nobody else knows the key.
    params.api_keys = [secret]
    params.ui = False
    params.endpoint_slots = True
    params.slot_save_path = f"{prefixes.folder}{os.sep}"
    try:
        return xllamacpp.Server(params), prefixes
    except RuntimeError as error:
        raise ModelError(
            f"The model file {path} cannot be loaded; it is damaged, incomplete or of an unknown kind.",
            hint="Remove it to fetch it again, or choose another model.",
        ) from error


def _threads() -> int:
    return max(1, len(os.sched_getaffinity(0)))


class _Loop:
    """The running event loop, to be called from any thread."""

    def __init__(self) -> None:
        self._token = anyio.lowlevel.current_token()
        self._thread = threading.get_ident()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call the function on the loop's thread; nothing happens when the loop is gone."""
        # What is done already calls back at once, on the loop's own thread, which must not wait for itself.
        if threading.get_ident() == self._thread:
            function(*arguments)
            return
        with contextlib.suppress(RuntimeError):
            anyio.from_thread.run_sync(function, *arguments, token=self._token)


async def _on(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Run `work` on the pool's thread; when the awaiting task is cancelled the work is left to end."""
    done = anyio.Event()
    loop = _Loop()
    future = pool.submit(work)
    future.add_done_callback(lambda _: loop.call(done.set))
    try:
        await done.wait()
    except BaseException:
        future.cancel()
        raise
    try:
        return future.result()
    except CancelledError as error:
        raise ModelError("The model was unloaded.", hint="Ask again to load it.") from error
