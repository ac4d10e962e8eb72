"""Listening: who said what in a session, read from its log while the model reads the first request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from llmasos.agent.provenance import RESTORING, Tracker
from llmasos.agent.stream import EventStream
from llmasos.api import Fact, TurnRequest
from llmasos.decisions import Source
from llmasos.tools import Registry

Texts = Iterable[tuple[str, Source]]


class Listening:
    """The tracker of one session; until it knows the past, what is said is kept for it.

    Args:
        stream: The session's events.
        registry: The tools.
        attached: Returns what the events do not hold, with where it was found.
    """

    def __init__(
        self, stream: EventStream, registry: Registry, attached: Callable[[], Awaitable[Texts]]
    ) -> None:
        self.tracker = Tracker()
        self._stream = stream
        self._registry = registry
        self._attached = attached
        self._later: list[Callable[[Tracker], None]] = []
        self._remembered: set[str] = set()
        self._done = anyio.Event()
        self._error: Exception | None = None

    @property
    def failed(self) -> bool:
        """Whether the past could not be read."""
        return self._error is not None

    def begin(self, tasks: TaskGroup) -> None:
        """Read the past in the background."""
        tasks.start_soon(self._restore)

    async def heard(self) -> None:
        """Return when the tracker knows the past.

        Raises:
            ConfigError: The database cannot be read.
        """
        await self._done.wait()
        if self._error is not None:
            raise self._error

    def tell(self, say: Callable[[Tracker], None]) -> None:
        """Have the tracker hear something, after all that was before it."""
        if self._done.is_set():
            say(self.tracker)
        else:
            self._later.append(say)

    def request(self, request: TurnRequest, names: Sequence[str], facts: Sequence[Fact]) -> None:
        """Have the tracker hear what a turn begins with.

        Args:
            request: The request.
            names: The paths in the folder.
            facts: What the person asked to remember; each is heard once.
        """
        fresh = [fact.text for fact in facts if fact.text not in self._remembered]
        self._remembered.update(fresh)

        def hear(tracker: Tracker) -> None:
            # Facts are people's own words, as nobody else can have them remembered.
            for text in (*fresh, request.text):
                tracker.person(text)
            for attachment in request.attachments:
                tracker.content(attachment.text, Source(kind="attachment", name=attachment.name))
            tracker.outline(names)

        self.tell(hear)

    def person(self, text: str) -> None:
        """Have the tracker hear what the person says."""
        self.tell(lambda tracker: tracker.person(text))

    async def _restore(self) -> None:
        try:
            events = await self._stream.read(types=RESTORING)
            texts = list(await self._attached())
            await anyio.to_thread.run_sync(self.tracker.restore, events, self._registry, texts)
        except Exception as error:
            # Whoever waits for it is told.
            self._error = error
        for say in self._later:
            say(self.tracker)
        self._done.set()
