"""The HTTP API of federated training: plan, start, follow, stop, resume and export runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api.federated import (
    Exported,
    ExportRequest,
    RunForecast,
    RunInfo,
    RunPlanned,
    RunStep,
    RunVerified,
    TrainingRequest,
)
from llmasos.federated.events import RunEvent
from llmasos.federated.joined import is_joined
from llmasos.federated.plan import names_of
from llmasos.federated.port import FederatedError, Prepared, RunStatus, UnknownRun
from llmasos.federated.records import plan_sha256
from llmasos.federated.request import Request as Wanted
from llmasos.federated.request import defaulted, is_builtin, plan_of, request_of
from llmasos.federated.run import ProcessRun
from llmasos.federated.wording import plan_lines
from llmasos.kernel import Kernel
from llmasos.ledger import Filter, Record
from llmasos.service.access import Access, needs
from llmasos.service.events import SERVER_SENT, FollowReply, place
from llmasos.service.openapi import operation
from llmasos.service.replies import body, reply

_PREFIX = "/v1/federated/runs"


def federated_routes(kernel: Kernel) -> list[Route]:
    """Return the routes under `/v1/federated/runs`, each with what it needs."""
    api = _FederatedApi(kernel)
    return [
        # To write to a person's folder is a person's decision.
        *needs("approve", [Route(f"{_PREFIX}/{{id}}/export", api.export, methods=["POST"])]),
        *needs(
            "agent",
            [
                Route(_PREFIX, api.list),
                Route(_PREFIX, api.prepare, methods=["POST"]),
                Route(f"{_PREFIX}/{{id}}", api.show),
                Route(f"{_PREFIX}/{{id}}", api.remove, methods=["DELETE"]),
                Route(f"{_PREFIX}/{{id}}/events", api.events),
                Route(f"{_PREFIX}/{{id}}/start", api.start, methods=["POST"]),
                Route(f"{_PREFIX}/{{id}}/stop", api.stop, methods=["POST"]),
                Route(f"{_PREFIX}/{{id}}/verify", api.verify, methods=["POST"]),
            ],
        ),
    ]


class _EventsQuery(BaseModel):
    """Which events: those after a number, and with `follow` those to come, up to the end of the run."""

    after: int = 0
    follow: bool = True


class _FederatedApi:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @operation("List the trainings, the oldest first.", answer=RunInfo, many=True)
    async def list(self, request: Request) -> Response:
        runs = self._kernel.runs
        found = await anyio.to_thread.run_sync(runs.all)
        access = _access(request)
        return reply([info_of(one) for one in found if sees(access, runs.owner(one.id))])

    @operation("Plan a training: look at the data, and forecast.", body=Wanted, answer=RunPlanned, status=201)
    async def prepare(self, request: Request) -> Response:
        given = await body(request, TrainingRequest)
        wanted = request_of(**given.model_dump())
        plan = plan_of(wanted, [_source(one) for one in wanted.data])
        access = _access(request)
        if access is not None and not _public(wanted):
            # What a model learns of a person's files is for that person to give.
            access.require("approve")
        owner = access.key_id if access is not None else ""
        made = await self._kernel.runs.prepare(plan, owner=owner)
        if await request.is_disconnected():
            # Nobody will start what nobody was told of.
            await self._kernel.runs.remove(made.id)
        return reply(self._kernel.redactor.value(_planned(wanted, made)), status=201)

    @operation("Show a training.", answer=RunInfo)
    async def show(self, request: Request) -> Response:
        return reply(info_of(self._run(request).status()))

    @operation("Remove a training that is not under way; the ledger keeps its records.", status=204)
    async def remove(self, request: Request) -> Response:
        await self._kernel.runs.remove(self._name(request))
        return Response(status_code=204)

    @operation("Follow what a training tells.", query=_EventsQuery, answer=RunStep, media=SERVER_SENT)
    async def events(self, request: Request) -> Response:
        run, after = self._run(request), place(request) or 0
        if request.query_params.get("follow", "true") == "true":
            return FollowReply(lambda: _followed(run, after))
        told = enumerate(run.told(after), after + 1)
        return Response("".join(_written(*one) for one in told), media_type=SERVER_SENT)

    @operation("Start a training, or go on with it.", answer=RunInfo, status=202)
    async def start(self, request: Request) -> Response:
        run = await self._kernel.runs.start(self._run(request).id)
        return reply(info_of(run.status()), status=202)

    @operation("Stop a training; it can be gone on with.", answer=RunInfo)
    async def stop(self, request: Request) -> Response:
        return reply(info_of(await self._kernel.runs.stop(self._run(request).id)))

    @operation("Compare a training's model with what the ledger says of it.", answer=RunVerified)
    async def verify(self, request: Request) -> Response:
        run = self._run(request)
        if run.status().state == "running":
            raise FederatedError(
                f"The run {run.id} is under way, and its model changes.", hint="Verify it when it has ended."
            )
        found = await self._kernel.runs.results(run.id).weigh()
        record = await self._end(run.id)
        number, body = (record.number, record.body or {}) if record else (0, {})
        recorded = str(body.get("weights_sha256", ""))
        if found == recorded:
            message = f"The model of {run.id} is the one that record {number} names."
        elif recorded:
            message = f"The model of {run.id} is NOT the one that record {number} names."
        else:
            message = f"The ledger does not say which model came of {run.id}."
        return reply(
            RunVerified(ok=found == recorded, message=message, record=number, recorded=recorded, found=found)
        )

    @operation("Copy a training's results to a folder.", body=ExportRequest, answer=Exported)
    async def export(self, request: Request) -> Response:
        run = self._run(request)
        folder = Path((await body(request, ExportRequest)).folder)
        if not folder.is_absolute():
            raise FederatedError("The folder is not an absolute path.", hint="Name it from the root on.")
        files = await self._kernel.runs.results(run.id).export(folder)
        return reply(Exported(files=tuple(map(str, files))))

    async def _end(self, run: str) -> Record | None:
        """Return the newest record of a run's end, after which it may have gone on and been cut off."""
        limit = 1
        while True:
            records = await self._kernel.ledger.records(
                Filter(session=run, kinds=("round",)), limit, bodies=True
            )
            for record in reversed(records):
                # One that was erased could have been it.
                if record.body is None or record.body["event"] == "ended":
                    return record
            if len(records) < limit:
                return None
            limit *= 10

    def _run(self, request: Request) -> ProcessRun:
        """Return the run that a request names, if whoever asks may see it."""
        return self._kernel.runs.get(self._name(request))

    def _name(self, request: Request) -> str:
        name: str = request.path_params["id"]
        if not sees(_access(request), self._kernel.runs.owner(name)):
            raise UnknownRun(f"There is no run {name}.", hint=f"`GET {_PREFIX}` lists them.")
        return name


@asynccontextmanager
async def _followed(run: ProcessRun, after: int) -> AsyncIterator[AsyncIterator[str]]:
    async def texts() -> AsyncIterator[str]:
        number = after
        async for event in events:
            number += 1
            yield _written(number, event)

    async with aclosing(run.events(after)) as events:
        yield texts()


def _written(number: int, event: RunEvent) -> str:
    told = event.model_dump(exclude={"plan", "forecast"})
    if event.type == "run_started":
        told["rounds"] = event.plan.rounds
    step = RunStep(number=number, **told)
    return f"id: {number}\nevent: {event.type}\ndata: {step.model_dump_json()}\n\n"


def _public(wanted: Wanted) -> bool:
    """Return whether what is asked for reads nothing of a person's, on this machine or on others."""
    # Wherever a path may stand in them.
    options = json.dumps(wanted.options or {})
    return all(map(is_builtin, wanted.data)) and "/" not in options and ".." not in options


def _source(named: str) -> str:
    """Return the data as the backend finds it, wherever its program works.

    Raises:
        FederatedError: It is no absolute path, no built-in data set and no machine of a federation.
    """
    if Path(named).is_absolute() or is_builtin(named) or is_joined(named):
        return named
    raise FederatedError(
        f"There is no data set {named[:100]!r}.",
        hint="Name files and folders from the root on, or a built-in data set such as digits.",
    )


def _planned(wanted: Wanted, made: Prepared) -> RunPlanned:
    return RunPlanned(
        id=made.id,
        plan=made.plan.model_dump(mode="json"),
        plan_sha256=plan_sha256(made.plan),
        defaulted=tuple(defaulted(wanted, made.plan)),
        rows=dict(zip(names_of(made.plan), made.schema_.rows, strict=True)),
        forecast=RunForecast.model_validate(made.forecast.model_dump()),
        summary=tuple(plan_lines(wanted, made)),
    )


def info_of(status: RunStatus) -> RunInfo:
    """Return a training as lists show it."""
    plan = status.plan
    return RunInfo(
        **status.model_dump(exclude={"plan"}),
        name=plan.name,
        recipe=plan.recipe,
        strategy=plan.strategy.name,
        clients=plan.clients,
        backend=plan.backend,
        data=plan.data.sources,
        rounds=plan.rounds,
        target=plan.target,
    )


def sees(access: Access | None, owner: str) -> bool:
    """Return whether whoever asks may see what a key began."""
    return access is None or access.may("admin") or owner == access.key_id


def _access(request: Request) -> Access | None:
    access: Access | None = request.state.access
    return access
