"""The parts of one turn, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from anyio.abc import TaskGroup
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model

from llmasos.agent.approvals import Approvals
from llmasos.agent.consent import Consent
from llmasos.agent.context import Contexts
from llmasos.agent.gate import Gate
from llmasos.agent.gathering import Surroundings
from llmasos.agent.judge import Judge
from llmasos.agent.listening import Listening
from llmasos.agent.offer import Offer
from llmasos.agent.one_call import one_call
from llmasos.agent.reports import Reports
from llmasos.agent.rulebook import Rulebook
from llmasos.agent.services import Services
from llmasos.agent.steering import Steering
from llmasos.agent.stream import EventStream
from llmasos.agent.turn import Turn
from llmasos.agent.waiting import Waiting
from llmasos.agent.workbench import Workbench
from llmasos.api import SessionInfo, TurnRequest
from llmasos.models import Origin


@dataclass(frozen=True)
class Assembled:
    """A turn that can be run, and what is asked of its parts afterwards."""

    turn: Turn
    contexts: Contexts
    consent: Consent


@dataclass(frozen=True)
class Assembly:
    """What all turns of a session are made of.

    Args:
        services: What every session shares.
        stream: The session's stream.
        workbench: Its folder.
        approvals: Where answers come in.
        rulebook: Its rules.
        listening: What was said and read in it.
        offer: The tools that its model is offered.
        tasks: Where what goes on beside a turn runs.
    """

    services: Services
    stream: EventStream
    workbench: Workbench
    approvals: Approvals
    rulebook: Rulebook
    listening: Listening
    offer: Offer
    tasks: TaskGroup

    def turn(
        self,
        turn: str,
        info: SessionInfo,
        request: TurnRequest,
        model: Model,
        origin: Origin,
        instructions: str,
        history: Sequence[ModelMessage],
        other_model: Callable[[str], Awaitable[Model]],
        steering: Steering | None = None,
    ) -> Assembled:
        """Put a turn together.

        Args:
            turn: Its id.
            info: The session as it is now.
            request: What is asked.
            model: What is asked for it.
            origin: Where the model's replies come from.
            instructions: What the model is told beside the request.
            history: Messages of the turns before.
            other_model: Returns a model by its name, for tools that ask another one.
            steering: What the person says to it while it runs; None where no model reads that.
        """
        services, redactor = self.services, self.services.redactor
        limits = services.settings.limits.model_copy(
            update={
                key: value
                for key, value in (("steps", request.max_steps), ("seconds", request.timeout))
                if value is not None
            }
        )
        contexts = Contexts(
            turn,
            self.stream,
            model,
            other_model,
            self.workbench,
            services.provider,
            services.registry,
            self.offer,
            services.settings.sandbox_limits.seconds,
            services.settings,
            services.trainings,
            services.shelf,
            request.text if request.call is None else "",
        )
        reports = Reports(info.id, turn, origin, services.ledger, self.stream, redactor)

        def paused() -> AbstractContextManager[None]:
            return running.paused()

        sandbox = self.workbench.sandbox
        consent = Consent(
            turn, self.stream, self.approvals, reports, self.rulebook, redactor.value, paused, sandbox.weigh
        )
        listening = self.listening
        judge = Judge(
            self.rulebook,
            listening.tracker,
            self._surroundings(info, typed=request.call is not None and request.call.typed),
            redactor,
            sandbox.look,
            listening.heard,
        )
        contexts.gate = Gate(services.registry, judge, consent, reports, redactor, contexts)
        # Who made a call themselves ask the model by the tool only.
        asked, offer = model, self.offer
        if request.call is not None:
            asked, offer = one_call(request.call), self.offer.including(request.call.tool)
        running = Turn(
            turn,
            asked,
            contexts.gate,
            offer,
            self.stream,
            limits,
            instructions,
            Waiting(self.tasks, self.stream, turn, origin),
            history,
            steering or Steering(),
            listening.person,
        )
        return Assembled(running, contexts, consent)

    def _surroundings(self, info: SessionInfo, *, typed: bool) -> Surroundings:
        settings = self.services.settings
        functions = (tool.name for tool in self.services.registry if not tool.capabilities.executes)
        return Surroundings(
            tier=self.services.provider.backend,
            hosts=(*settings.sandbox_hosts, *info.hosts),
            attended=self.approvals.mode == "ask",
            in_place=info.in_place,
            folder=str(self.rulebook.folder),
            access=info.access or settings.policy.access,
            asking=info.asking or settings.policy.asking,
            functions=frozenset(functions),
            typed=typed,
        )
