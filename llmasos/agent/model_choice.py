"""Who is asked in the turns of a session: which model, for whom, how urgently; replies are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic_ai.models import Model
from pydantic_ai.tools import ToolDefinition

from llmasos.agent.metering import Used
from llmasos.agent.one_call import PERSON, one_call
from llmasos.agent.recorded_model import RecordedModel
from llmasos.agent.services import Services
from llmasos.agent.stream import EventStream
from llmasos.api import TurnRequest
from llmasos.events import Progress
from llmasos.models import Client, Origin
from llmasos.models.scheduler.queue import BANDS
from llmasos.models.scheduler.types import Band


class ModelChoice:
    """The models that the turns of one session may ask.

    Args:
        services: What all sessions share.
        stream: The session's events, which are told how far a model is that has to be loaded.
        session: The session's id.
    """

    def __init__(self, services: Services, stream: EventStream, session: str) -> None:
        self._services = services
        self._stream = stream
        self._session = session

    async def first(
        self, turn: str, request: TurnRequest, name: str | None, client: Client, used: Used
    ) -> tuple[Model, Origin]:
        """Return what a turn asks first, and where its replies come from: the person, of a call of theirs.

        Args:
            turn: The turn's id.
            request: What is to be done.
            name: The session's model; None for the usual one.
            client: On whose behalf.
            used: Counts what is used.

        Raises:
            ModelError: There is no such model, or it cannot be loaded.
            ToolError: The call that the person makes is not one that its tool takes.
        """
        services = self._services
        called = None if request.call is None else services.registry.get(request.call.tool)
        if request.call is not None and called is not None:
            called.validate(request.call.arguments)
            if not called.capabilities.asks_model:
                return one_call(request.call), PERSON
        # In the shell a person waits for the answer; what asks for many is in no hurry.
        wanted: Band = "interactive" if request.approve == "ask" else "normal"
        if called is not None:
            wanted = "batch"
        asks = replace(client, band=max(wanted, client.band, key=BANDS.__getitem__))
        return await self.named(turn, name, asks, used, services.definitions)

    async def named(
        self,
        turn: str,
        name: str | None,
        client: Client,
        used: Used,
        tools: Sequence[ToolDefinition] = (),
    ) -> tuple[Model, Origin]:
        """Return a model whose calls are recorded, and where its replies come from.

        Args:
            turn: The turn's id.
            name: The model; None for the usual one.
            client: On whose behalf, and how urgently.
            used: Counts what is used.
            tools: What it may call, for models that read that before anything is asked.

        Raises:
            ModelError: There is no such model, or it cannot be loaded.
        """
        services = self._services
        model = await services.models.resolve(
            name,
            lambda what, done, total, unit: self._stream.publish(
                Progress(turn=turn, what=what, done=done, total=total, unit=unit)
            ),
            tools,
            replace(client, session=self._session, used=used.add),
        )
        origin = await services.models.origin(model, name)
        recorded = RecordedModel(
            model,
            origin,
            services.ledger,
            session=self._session,
            turn=turn,
            used=used,
            redactor=services.redactor,
        )
        return recorded, origin
