"""An engine on a worker of a cluster, or anywhere else that objects can be placed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from typing import Any, Protocol

from llmasos.errors import LLMasOSError, ModelError
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Embeddings,
    Engine,
    EngineDied,
    Footprint,
    Loader,
    LoadPlan,
    Turn,
)


class Host(Protocol):
    """Holds an object elsewhere."""

    @property
    def pid(self) -> int:
        """The process that the object is in."""

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call an asynchronous method of the object."""

    def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any]:
        """Yield what a method of the object yields."""

    async def stop(self) -> None:
        """End the process that holds the object."""


Place = Callable[..., Awaitable[Host]]
"""Takes a function and its arguments, and places the object that it makes."""


class PlacedEngine:
    """An engine elsewhere; an error that is not the model's own means that its place is lost.

    Args:
        host: Where it is.
        name: The model's name.
        context: Tokens of prompt and output of one request.
        slots: Requests that run at once.
        resumes: Whether requests without a grammar may be stopped and go on later.
    """

    def __init__(self, host: Host, *, name: str, context: int, slots: int, resumes: bool) -> None:
        self.host = host
        self.name = name
        self.context = context
        self.slots = slots
        self._resumes = resumes

    @classmethod
    async def load(cls, place: Place, loader: Loader, plan: LoadPlan) -> PlacedEngine:
        """Load a model elsewhere.

        Args:
            place: Places the engine.
            loader: Loads it there; it has to be importable, or picklable.
            plan: How; its paths are paths there.

        Raises:
            OutOfMemory: There is no room for it.
            ModelError: Its files cannot be loaded.
            LLMasOSError: There is no place for it.
        """
        host = await place(_load, loader, plan)
        with _translated(plan.name):
            return cls(host, **await host.call("describe"))

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request."""
        with _translated(self.name):
            async with aclosing(self.host.stream("stream", request)) as chunks:
                async for chunk in chunks:
                    yield chunk

    def resumable(self, request: CompletionRequest) -> bool:
        """Return whether this request may be stopped and go on later."""
        # Not every engine can take up a grammar in its middle.
        return self._resumes and not request.grammar and not request.json_schema

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Compute, or restore, what the engine keeps for this prefix."""
        await self._call("prepare", prefix)

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the prompt that the model's own chat template makes."""
        rendered: str = await self._call("render", list(messages), list(tools))
        return rendered

    async def count(self, request: CompletionRequest) -> int:
        """Return the tokens of the request's prompt."""
        counted: int = await self._call("count", request)
        return counted

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings."""
        found: Embeddings = await self._call("embed", list(texts))
        return found

    async def footprint(self) -> Footprint:
        """Return the bytes that the model takes there."""
        found: Footprint = await self._call("footprint")
        return found

    async def park(self) -> int:
        """Move the weights to the memory of the host there."""
        taken: int = await self._call("park")
        return taken

    async def unpark(self) -> None:
        """Move the weights back."""
        await self._call("unpark")

    async def close(self) -> None:
        """Free the model and give its place back."""
        with suppress(LLMasOSError):
            await self.host.call("close")
        await self.host.stop()

    async def _call(self, method: str, *arguments: Any) -> Any:
        with _translated(self.name):
            return await self.host.call(method, *arguments)


class _Placed:
    """What is placed: an engine that can also say what it is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def describe(self) -> dict[str, Any]:
        engine = self._engine
        return {
            "name": engine.name,
            "context": engine.context,
            "slots": engine.slots,
            "resumes": engine.resumable(CompletionRequest(prompt="a")),
        }


async def _load(loader: Loader, plan: LoadPlan) -> _Placed:
    return _Placed(await loader(plan))


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except LLMasOSError as error:
        raise EngineDied(f"The engine of {name} was lost: {error.message}", hint="Ask again.") from error
