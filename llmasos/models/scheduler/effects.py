"""Carries out what the state machine decides: jobs in their engines, engines on their devices."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal, TypeVar

import anyio
from anyio.abc import TaskGroup

from llmasos.errors import ModelError
from llmasos.models.engines.port import Engine, EngineDied, ReplicaDied
from llmasos.models.scheduler.decisions import Effect, Load, Park, Preempt, Refuse, Start, Stop, Unload
from llmasos.models.scheduler.events import Declined, Died, Ended, Event, Stalled, Stopped
from llmasos.models.scheduler.metrics import Metrics
from llmasos.models.scheduler.moves import Moves, ending
from llmasos.models.scheduler.resident import Resident
from llmasos.models.scheduler.ticket import Ticket, carry_out, failure
from llmasos.models.scheduler.types import Refused

T = TypeVar("T")

_log = logging.getLogger(__name__)
# An engine that needs longer than this to stop one reply is given up.
_STOP_SECONDS = 10.0


class Effects:
    """Jobs and models as they are, where the state machine knows them as they are meant to be.

    Args:
        tasks: Where engines work.
        post: Told what happened.
        wrote: Told how many tokens a job wrote.
        clock: Returns the time in seconds.
        metrics: Where measurements go.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        post: Callable[[Event], None],
        wrote: Callable[[int, int], None],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self.tickets: dict[int, Ticket[Any]] = {}
        self.residents: dict[str, Resident] = {}
        self._tasks = tasks
        self._post = post
        self._wrote = wrote
        self._clock = clock
        self._metrics = metrics
        self._moves = Moves(self.residents, tasks, post, clock, metrics)
        self._emptied = anyio.Event()

    def resident(self, model: str) -> Resident:
        """Return the place of a model.

        Raises:
            ModelError: It is not registered.
        """
        try:
            return self.residents[model]
        except KeyError:
            raise ModelError(
                f"There is no model {model!r} here.", hint="List them with `llmasos models`."
            ) from None

    def carry_out(self, effect: Effect) -> None:
        """Begin to carry out an effect; how it ended is posted."""
        match effect:
            case Start(job) if (ticket := self.tickets.get(job)) is not None:
                self._start(ticket)
            case Preempt(job) if (ticket := self.tickets.get(job)) is not None:
                # What turns out not to be resumable runs to its end.
                if ticket.work.resumable(self.residents[ticket.job.model].engine):
                    self._metrics.preempted(ticket.job)
                    self._stop(ticket, "preempt")
                else:
                    self._post(Declined(job))
            case Stop(job) if (ticket := self.tickets.get(job)) is not None:
                seconds = ticket.job.client.seconds
                late = (
                    "The reply was stopped" if seconds is None else f"The reply took over {seconds:g} seconds"
                )
                self.end(ticket, Refused(f"{late}.", status=504, hint="Ask for less, or allow more time."))
            case Refuse(job) if (ticket := self.tickets.get(job)) is not None:
                self._metrics.refused(ticket.job, effect.status)
                self.end(ticket, self._refusal(ticket, effect))
            case Load(model):
                self._moves.load(self.residents[model])
            case Park(model):
                self._moves.park(self.residents[model])
            case Unload(model):
                self._moves.unload(self.residents[model], evicted=effect.evicted)
            case _:
                # It ended just before the effect was decided on.
                pass

    def add(self, ticket: Ticket[Any]) -> None:
        """Take care of a ticket from now on."""
        self.tickets[ticket.job.id] = ticket
        self._metrics.queued(ticket.job, 1)

    def end(self, ticket: Ticket[Any], error: Exception) -> None:
        """End a ticket with an error, whether it waits or runs."""
        ticket.reply.end(error)
        self.drop(ticket)

    def drop(self, ticket: Ticket[Any]) -> None:
        """Do nothing more for a ticket; what its engine does is stopped."""
        if ticket.scope is not None:
            self._stop(ticket, "stop")
        elif not ticket.over.is_set():
            self._metrics.queued(ticket.job, -1)
            self._over(ticket, "refused")

    async def aside(self, model: str, function: Callable[[Engine], Awaitable[T]]) -> tuple[bool, T | None]:
        """Call an engine where it is resident, beside what it does for tickets.

        Returns:
            Whether it could be called, and the result.

        Raises:
            ModelError: There is no such model, or its engine failed.
        """
        resident = self.resident(model)
        with resident.use() as engine:
            if engine is None:
                return False, None
            try:
                return True, await function(engine)
            except EngineDied as error:
                self._die(resident, engine, error)
                raise
            except ModelError:
                raise
            except Exception as error:
                raise failure(model, error) from error
            except anyio.get_cancelled_exc_class() as stray:
                if ending():
                    raise
                raise failure(model, stray) from stray

    async def emptied(self) -> None:
        """Return when there is no ticket."""
        while self.tickets:
            self._emptied = anyio.Event()
            await self._emptied.wait()

    def restart(self, error: ModelError) -> None:
        """End every ticket and free every model."""
        for ticket in [*self.tickets.values()]:
            self.end(ticket, error)
        for model, old in self.residents.items():
            self.residents[model] = old.anew()
            old.move("absent")
            self._tasks.start_soon(old.abandon)

    def _start(self, ticket: Ticket[Any]) -> None:
        if ticket.scope is not None:
            _log.warning("the job %s was started twice", ticket.job.id)
            return
        ticket.engine = self.residents[ticket.job.model].engine
        ticket.scope, ticket.idle = anyio.CancelScope(), anyio.Event()
        now = self._clock()
        if ticket.started is None:
            ticket.started = now
            self._metrics.waited(ticket.job, now - ticket.submitted)
        self._metrics.queued(ticket.job, -1)
        self._metrics.running(ticket.job, 1)
        self._tasks.start_soon(self._run, ticket, ticket.scope)

    async def _run(self, ticket: Ticket[Any], scope: anyio.CancelScope) -> None:
        """Have the engine work for a ticket, and post how that ended."""
        resident = self.residents[ticket.job.model]
        error: Exception | None = closed()
        try:
            with resident.use():
                if ticket.engine is None:
                    error = EngineDied(f"The model {ticket.job.model} is not loaded.", hint="Ask again.")
                else:
                    error = await carry_out(
                        ticket, ticket.engine, partial(self._heard, ticket), partial(self._stall, ticket)
                    )
        except anyio.get_cancelled_exc_class() as stray:
            if ending():
                raise
            error = failure(ticket.job.model, stray)
        finally:
            self._settle(ticket, scope, error)

    def _stop(self, ticket: Ticket[Any], why: Literal["preempt", "stop", "died"]) -> None:
        ticket.stop(why)
        self._tasks.start_soon(self._insist, ticket, ticket.scope)

    async def _insist(self, ticket: Ticket[Any], scope: anyio.CancelScope | None) -> None:
        """Give an engine up that does not stop."""
        with anyio.move_on_after(_STOP_SECONDS):
            await ticket.idle.wait()
        if scope is not None and ticket.scope is scope:
            model = ticket.job.model
            error = EngineDied(f"The engine of {model} does not stop.", hint="Ask again to load it anew.")
            self._settle(ticket, scope, error)

    def _settle(self, ticket: Ticket[Any], scope: anyio.CancelScope, error: Exception | None) -> None:
        if ticket.scope is not scope:
            return
        leaving, ticket.leaving, ticket.scope = ticket.leaving, "", None
        ticket.idle.set()
        self._metrics.running(ticket.job, -1)
        if isinstance(error, EngineDied) and not isinstance(error, ReplicaDied):
            self._die(self.residents[ticket.job.model], ticket.engine, error)
        stopped = error is None and scope.cancelled_caught
        if stopped and leaving == "preempt":
            self._metrics.queued(ticket.job, 1)
            self._post(Stopped(ticket.job.id))
            return
        ticket.reply.end(error)
        self._over(ticket, type(error).__name__ if error is not None else "cancelled" if stopped else "")
        self._post(Stopped(ticket.job.id) if stopped and leaving == "stop" else Ended(ticket.job.id))

    def _over(self, ticket: Ticket[Any], error: str) -> None:
        del self.tickets[ticket.job.id]
        ticket.over.set()
        now, work = self._clock(), ticket.work
        writing = now - (ticket.first or now)
        self._metrics.ended(ticket.job, work.operation, work.usage, now - ticket.submitted, writing, error)
        if not self.tickets:
            self._emptied.set()

    def _heard(self, ticket: Ticket[Any], tokens: int) -> None:
        if not tokens:
            return
        if ticket.first is None:
            ticket.first = self._clock()
            self._metrics.first(ticket.job, ticket.first - ticket.submitted, ticket.work.operation)
        self._metrics.wrote(ticket.job, tokens)
        self._wrote(ticket.job.id, tokens)

    def _stall(self, ticket: Ticket[Any]) -> None:
        ticket.stalled = True
        self._post(Stalled(ticket.job.id))

    def _die(self, resident: Resident, engine: Engine | None, error: EngineDied) -> None:
        """End everything that an engine did when it died, unless that was noticed before."""
        if engine is None or resident.engine is not engine:
            return
        model = resident.card.model
        resident.move("absent")
        self._metrics.measured(resident.card, 0)
        for other in [*self.tickets.values()]:
            if other.job.model == model and other.scope is not None:
                other.reply.end(error)
                self._stop(other, "died")
        self._tasks.start_soon(resident.abandon)
        self._post(Died(model, error.message))

    def _refusal(self, ticket: Ticket[Any], effect: Refuse) -> Refused:
        """Return the error of a refusal, with the next step where a failed load is the reason."""
        failure = self.residents[ticket.job.model].failure
        hint = failure.hint if failure is not None and failure.message in effect.reason else ""
        return Refused(effect.reason, status=effect.status, retry_after=effect.retry_after, hint=hint)


def _late(ticket: Ticket[Any]) -> Refused:
    seconds = ticket.job.client.seconds
    within = "in time" if seconds is None else f"within {seconds:g} seconds"
    return Refused(
        f"The request was not answered {within}.", status=504, hint="Ask for less, or allow more time."
    )


def closed() -> ModelError:
    """Return what jobs end with when the models are closed."""
    return ModelError("The models are being unloaded.", hint="Start the kernel again.")
