"""The scheduler's loop: takes events to the state machine, and has carried out what it decides."""

from __future__ import annotations

import itertools
import logging
import math
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import anyio
import anyio.lowlevel

from llmasos.errors import ModelError
from llmasos.models.devices.port import Device
from llmasos.models.engines.port import Chunk, CompletionRequest, Engine, Loader, LoadPlan
from llmasos.models.scheduler import decisions, events
from llmasos.models.scheduler.decide import advance
from llmasos.models.scheduler.decisions import Effect
from llmasos.models.scheduler.effects import Effects, closed
from llmasos.models.scheduler.events import Event
from llmasos.models.scheduler.metrics import Metrics
from llmasos.models.scheduler.reply import Reply
from llmasos.models.scheduler.resident import Resident
from llmasos.models.scheduler.state import State
from llmasos.models.scheduler.ticket import Ticket
from llmasos.models.scheduler.top import Top, survey
from llmasos.models.scheduler.types import Ask, Card, Client, Job, Refused, Rules
from llmasos.models.scheduler.work import Call, Completion, Work, join

T = TypeVar("T")
Decide = Callable[[State, Event, float], tuple[State, Sequence[Effect]]]

_log = logging.getLogger(__name__)
_MEASURE_SECONDS = 30.0
_PERSON = Client(session="llmasos", band="interactive")
_NORMAL = Client()


class Scheduler:
    """Shares models among those who ask; use it with `async with`.

    Args:
        rules: How; the budgets are those of the devices.
        devices: Where models are loaded.
        load: Loads them.
        clock: Returns the time in seconds, as the event loop counts it.
        decide: The state machine; it may use up the state that it is given.
        metrics: Where measurements go.
        buffer: Items of a reply that wait for its reader before the decoding gives way.
    """

    def __init__(
        self,
        rules: Rules,
        devices: Sequence[Device],
        load: Loader,
        *,
        clock: Callable[[], float] = anyio.current_time,
        decide: Decide = advance,
        metrics: Metrics | None = None,
        buffer: int = 64,
    ) -> None:
        self.devices = tuple(devices)
        self.state = State.of(replace(rules, budgets={device.name: device.budget for device in devices}))
        self.clock = clock
        self.metrics = metrics or Metrics(clock)
        self.draining = False
        self._load = load
        self._decide = decide
        self._buffer = buffer
        self._ids = itertools.count(1)
        self._events: deque[Event] = deque()
        self._deciding = False
        self._written: Counter[int] = Counter()
        self._wake = math.inf
        self._closed = False

    async def __aenter__(self) -> Self:
        self._nudge = anyio.Event()
        self._tasks = await anyio.create_task_group().__aenter__()
        self.effects = Effects(self._tasks, self._post, self._wrote, self.clock, self.metrics)
        self._tasks.start_soon(self._keep_time)
        self._tasks.start_soon(self._keep_measured)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self.end()
        with anyio.CancelScope(shield=True):
            # Ends by itself, because engines that do not stop are given up.
            await self.effects.emptied()
            self._tasks.cancel_scope.cancel()
            async with anyio.create_task_group() as group:
                for resident in self.effects.residents.values():
                    group.start_soon(resident.abandon)
        # What the body raised is nothing that the tasks here have to do with.
        await self._tasks.__aexit__(None, None, None)

    def register(self, card: Card, plan: LoadPlan) -> None:
        """Make a model known, or change what is known of it; a loaded one is changed at its next load."""
        resident = self.effects.residents.get(card.model)
        if resident is None:
            self.effects.residents[card.model] = Resident(card, plan, self._load)
        else:
            resident.card, resident.plan = card, plan
        self._post(events.Registered(card))

    async def stream(
        self, model: str, request: CompletionRequest, client: Client = _NORMAL
    ) -> AsyncGenerator[Chunk]:
        """Generate text for the request; closing the generator stops the decoding.

        Raises:
            Refused: It may not wait, or not any longer.
            ContextExceeded: The request does not fit.
            InvalidRequest: The request asks for what the engine cannot do.
            EngineDied: The engine's process ended.
            ModelError: There is no such model, or its engine failed.
        """
        ticket = self._submit(model, Completion(request, self.effects.resident(model).card.context), client)
        try:
            while (chunk := await self._next(ticket)) is not None:
                yield chunk
        finally:
            await self._leave(ticket)

    async def call(
        self,
        model: str,
        function: Callable[[Engine], Awaitable[T]],
        client: Client = _NORMAL,
        *,
        tokens: int = 0,
        operation: str = "",
        aside: bool = False,
    ) -> T:
        """Call a model's engine, which stays loaded meanwhile.

        Args:
            model: The model.
            function: What is called.
            client: Who asks.
            tokens: What the engine has to read for it.
            operation: What it is, in the words of OpenTelemetry's conventions; empty where they have none.
            aside: Do not wait for a slot where the model is resident.

        Raises:
            As `stream`.
        """
        if aside and not self._closed:
            done, result = await self.effects.aside(model, function)
            if done:
                return cast(T, result)
        ticket = self._submit(model, Call(function, tokens, operation), client)
        try:
            return cast(T, await self._next(ticket))
        finally:
            await self._leave(ticket)

    async def ask(self, model: str, ask: Ask) -> None:
        """Load, unload, pin (which loads too) or let go of a model, and return when that is done.

        Raises:
            Refused: It cannot be loaded now.
            EngineDied: The engine's process ended as it was loaded.
            ModelError: There is no such model.
        """
        resident = self.effects.resident(model)
        if ask != "unpin":
            resident.send_away(ask == "unload")
        self._post(events.Asked(model, ask))
        if ask in ("load", "pin"):
            await self.call(model, lambda _: anyio.lowlevel.checkpoint(), _PERSON, aside=True)
        while ask == "unload" and resident.sent_away:
            await resident.moved.wait()

    async def drain(self, seconds: float) -> bool:
        """Take no more jobs, wait so long for those there are, and return whether all ended."""
        self.draining = True
        with anyio.move_on_after(seconds):
            await self.effects.emptied()
        return not self.effects.tickets

    def end(self) -> None:
        """End every job with an error that says that the kernel is stopping."""
        for ticket in [*self.effects.tickets.values()]:
            self.effects.end(ticket, closed())

    def top(self) -> Top:
        """Return how everything stands."""
        return survey(self.state, self.devices, self.metrics, self.clock(), draining=self.draining)

    def _submit(self, model: str, work: Work[T], client: Client) -> Ticket[T]:
        resident = self.effects.resident(model)
        if self._closed:
            raise closed()
        if self.draining:
            raise Refused(
                "The kernel is stopping.", status=503, retry_after=5.0, hint="Ask again when it has started."
            )
        job = Job(
            id=next(self._ids),
            model=model,
            client=client,
            prompt_tokens=work.prompt_tokens,
            max_tokens=work.max_tokens,
            preemptible=work.resumable(resident.engine),
        )
        ticket = Ticket(job, work, Reply[T](self._buffer, join), self.clock())
        self.effects.add(ticket)
        self._post(events.Submitted(job))
        return ticket

    async def _next(self, ticket: Ticket[T]) -> T | None:
        item = await ticket.reply.get()
        if ticket.stalled and ticket.reply.low:
            ticket.stalled = False
            self._post(events.Drained(ticket.job.id))
        return item

    async def _leave(self, ticket: Ticket[Any]) -> None:
        """Say that nobody reads any more, and return when what it used is free again."""
        if not ticket.over.is_set():
            self._post(events.Cancelled(ticket.job.id))
            self.effects.drop(ticket)
        with anyio.CancelScope(shield=True):
            await ticket.over.wait()
        if ticket.started is not None and ticket.job.client.used is not None:
            ticket.job.client.used(ticket.work.used)

    def _wrote(self, job: int, tokens: int) -> None:
        self._written[job] += tokens
        self._nudge.set()

    def _post(self, event: Event | None = None) -> None:
        """Take what was written, an event, and those that carrying it out leads to, to the state machine."""
        if self._closed:
            return
        if self._written:
            written, self._written = self._written, Counter()
            self._events.append(events.Produced(written))
        if event is not None:
            self._events.append(event)
        if self._deciding:
            return
        self._deciding = True
        try:
            while self._events:
                self._handle(self._events.popleft())
        finally:
            self._deciding = False
        self._nudge.set()

    def _handle(self, event: Event) -> None:
        # A card that cannot be decided on changes nothing.
        state = self.state.copy() if isinstance(event, events.Registered) else self.state
        try:
            self.state, effects = self._decide(state, event, self.clock())
        except Exception:
            _log.exception("the scheduler failed at %s", event)
            self._fail(event)
            return
        self._wake = math.inf
        for effect in effects:
            if isinstance(effect, decisions.Wake):
                self._wake = effect.at
            else:
                self.effects.carry_out(effect)

    def _fail(self, event: Event) -> None:
        """Begin anew after an event that could not be decided on, so that nobody waits for its outcome."""
        if isinstance(event, events.Registered):
            return
        self._events.clear()
        self.state = State.of(self.state.rules)
        self.effects.restart(ModelError("The scheduler failed and began anew.", hint="Try again."))
        self._events.extend(events.Registered(each.card) for each in self.effects.residents.values())

    async def _keep_time(self) -> None:
        """Send what was written, and ticks when they are due."""
        while True:
            with anyio.move_on_after(max(0.0, self._wake - self.clock())):
                await self._nudge.wait()
            self._nudge = anyio.Event()
            if self._written:
                self._post()
            elif self.clock() >= self._wake:
                self._wake = math.inf
                self._post(events.Tick())

    async def _keep_measured(self) -> None:
        while True:
            await anyio.sleep(_MEASURE_SECONDS)
            for resident in [*self.effects.residents.values()]:
                if (size := await resident.measure()) is not None:
                    self.metrics.measured(resident.card, size)
                    self._post(events.Measured(resident.card.model, size))
