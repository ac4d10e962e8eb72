"""The HTTP API of the ledger."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from llmasos.agent import Books
from llmasos.api import (
    AccountInfo,
    AnchorInfo,
    AnchorRequest,
    Erased,
    EraseRequest,
    ExportQuery,
    LedgerInfo,
    ProofRequest,
    RecordFilter,
    RecordInfo,
    RecordQuery,
    RotateRequest,
    VerifyLine,
)
from llmasos.service.openapi import operation
from llmasos.service.replies import NDJSON, ProgressReply, body, query, reply, streamed


def ledger_routes(books: Books) -> list[Route]:
    """Return the routes under `/v1/ledger`."""
    api = _LedgerApi(books)
    return [
        Route("/v1/ledger", api.info),
        Route("/v1/ledger/records", api.records),
        Route("/v1/ledger/records/{what:path}", api.show),
        Route("/v1/ledger/verify", api.verify, methods=["POST"]),
        Route("/v1/ledger/prove", api.prove, methods=["POST"]),
        Route("/v1/ledger/export", api.export),
        Route("/v1/ledger/anchor", api.anchor, methods=["POST"]),
        Route("/v1/ledger/erase", api.erase, methods=["POST"]),
        Route("/v1/ledger/rotate", api.rotate, methods=["POST"]),
    ]


class _LedgerApi:
    def __init__(self, books: Books) -> None:
        self._books = books

    @operation("Show where the ledger stands.", answer=LedgerInfo)
    async def info(self, _request: Request) -> Response:
        return reply(await self._books.info())

    @operation("List or follow records.", query=RecordQuery, answer=RecordInfo, many=True)
    async def records(self, request: Request) -> Response:
        wanted = query(request, RecordQuery)
        if not wanted.follow:
            return reply(await self._books.records(wanted))
        # What is wrong with the question is said before the stream begins.
        await self._books.records(wanted.model_copy(update={"limit": 1}))
        return StreamingResponse(self._followed(wanted), media_type=NDJSON)

    @operation("Show all that is recorded of an action, or a record.", answer=RecordInfo, many=True)
    async def show(self, request: Request) -> Response:
        return reply(await self._books.show(request.path_params["what"]))

    @operation("Verify everything; a line for each step.", answer=VerifyLine, media=NDJSON)
    async def verify(self, _request: Request) -> Response:
        async def work(tell: Callable[[BaseModel], None]) -> BaseModel:
            report = await self._books.verify(lambda step: tell(VerifyLine(progress=step)))
            return VerifyLine(report=report)

        return ProgressReply(work, lambda error: VerifyLine(error=error))

    @operation("Prove an action or a record.", body=ProofRequest, answer=dict[str, Any])
    async def prove(self, request: Request) -> Response:
        wanted = await body(request, ProofRequest)
        proof = await self._books.prove(wanted.what, up_to_anchor=wanted.up_to_anchor)
        content = json.dumps(proof, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return Response(content, media_type="application/json")

    @operation("Read records with their proofs.", query=ExportQuery, answer=str, media="text/html")
    async def export(self, request: Request) -> Response:
        wanted = query(request, ExportQuery)
        html = wanted.format == "html"
        which = RecordFilter.model_validate(wanted.model_dump(exclude={"format"}))
        return await streamed(self._books.export(which, html=html), "text/html" if html else NDJSON)

    @operation("Tell places outside of the records.", body=AnchorRequest, answer=AnchorInfo, many=True)
    async def anchor(self, request: Request) -> Response:
        return reply(await self._books.anchor((await body(request, AnchorRequest)).target))

    @operation("Erase the bodies of records.", body=EraseRequest, answer=Erased)
    async def erase(self, request: Request) -> Response:
        wanted = await body(request, EraseRequest)
        count = await self._books.erase(wanted.which, wanted.reason, count_only=wanted.count_only)
        return reply(Erased(count=count))

    @operation("Hand the ledger to another key.", body=RotateRequest, answer=AccountInfo)
    async def rotate(self, request: Request) -> Response:
        key = (await body(request, RotateRequest)).key.get_secret_value()
        return reply(await self._books.rotate(key))

    async def _followed(self, wanted: RecordQuery) -> AsyncIterator[str]:
        # The first line, which is empty, says that nothing is missed from here on.
        yield "\n"
        async for record in self._books.follow(wanted):
            yield f"{record.model_dump_json()}\n"
