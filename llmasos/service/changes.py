"""The HTTP API of a session's changes: its view of the folder, commits, and what its sandbox runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.agent import Workbench
from llmasos.api import (
    ChangesRequest,
    Choice,
    CommitChoice,
    CommitInfo,
    Diff,
    JobInfo,
    JobOutput,
    JobPlace,
    MergedFile,
    StateRequest,
)
from llmasos.service.openapi import operation
from llmasos.service.replies import body, reply


class ChangesApi:
    """Answers about a session's view of its folder, and about what runs in its sandbox.

    Args:
        workbench: Returns the workbench of the session that a request names, if whoever asks may use it.
    """

    def __init__(self, workbench: Callable[[Request], Awaitable[Workbench]]) -> None:
        self._workbench = workbench

    def decisions(self) -> list[Route]:
        """Return the routes that write to the person's folder."""
        return [
            Route("/v1/sessions/{id}/commit", self.commit, methods=["POST"]),
            Route("/v1/sessions/{id}/undo", self.undo, methods=["POST"]),
            Route("/v1/sessions/{id}/redo", self.redo, methods=["POST"]),
        ]

    def routes(self) -> list[Route]:
        """Return the routes about a session's view and its sandbox."""
        return [
            Route("/v1/sessions/{id}/diff", self.diff),
            Route("/v1/sessions/{id}/discard", self.discard, methods=["POST"]),
            Route("/v1/sessions/{id}/history", self.history),
            Route("/v1/sessions/{id}/merged", self.merged),
            Route("/v1/sessions/{id}/resolve", self.resolve, methods=["POST"]),
            Route("/v1/sessions/{id}/jobs", self.jobs),
            Route("/v1/sessions/{id}/jobs/{job}", self.job_output),
            Route("/v1/sessions/{id}/jobs/{job}/stop", self.stop_job, methods=["POST"]),
            Route("/v1/sessions/{id}/state/save", self.save_state, methods=["POST"]),
            Route("/v1/sessions/{id}/state/restore", self.restore_state, methods=["POST"]),
        ]

    @operation("Show what the view would change in the folder.", answer=Diff)
    async def diff(self, request: Request) -> Response:
        return reply(await (await self._workbench(request)).diff())

    @operation("Write changes to the folder.", body=ChangesRequest, answer=CommitInfo)
    async def commit(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        wanted = await body(request, ChangesRequest)
        return reply(await workbench.commit(wanted.choices, merge=wanted.merge))

    @operation("Drop changes.", body=ChangesRequest, status=204)
    async def discard(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.discard((await body(request, ChangesRequest)).choices)
        return Response(status_code=204)

    @operation("Take a commit back.", body=CommitChoice, answer=CommitInfo)
    async def undo(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return reply(await workbench.undo((await body(request, CommitChoice)).commit))

    @operation("Write an undone commit again.", body=CommitChoice, answer=CommitInfo)
    async def redo(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return reply(await workbench.redo((await body(request, CommitChoice)).commit))

    @operation("List the commits.", answer=CommitInfo, many=True)
    async def history(self, request: Request) -> Response:
        return reply(await (await self._workbench(request)).history())

    @operation("Show a file that was changed on both sides, merged.", query=Choice, answer=MergedFile)
    async def merged(self, request: Request) -> Response:
        choice = Choice(path=request.query_params.get("path", ""))
        return reply(await (await self._workbench(request)).merged(choice.path))

    @operation("Take a merged text into the view.", body=Choice, answer=MergedFile)
    async def resolve(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return reply(await workbench.resolve((await body(request, Choice)).path))

    @operation("List what runs in the background.", answer=JobInfo, many=True)
    async def jobs(self, request: Request) -> Response:
        return reply(await (await self._workbench(request)).sandbox.jobs())

    @operation("Read what a job has printed.", query=JobPlace, answer=JobOutput)
    async def job_output(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        where = JobPlace.model_validate(dict(request.query_params))
        return reply(await workbench.sandbox.job_output(request.path_params["job"], where.offset, where.wait))

    @operation("Stop a job.", answer=JobInfo)
    async def stop_job(self, request: Request) -> Response:
        return reply(await (await self._workbench(request)).sandbox.stop_job(request.path_params["job"]))

    @operation("Keep Python's variables under a name.", body=StateRequest, status=204)
    async def save_state(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.save_state((await body(request, StateRequest)).name)
        return Response(status_code=204)

    @operation("Go back to variables that were kept.", body=StateRequest, status=204)
    async def restore_state(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.restore_state((await body(request, StateRequest)).name)
        return Response(status_code=204)
