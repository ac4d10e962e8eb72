"""The HTTP API of keys."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api import KeyCreated, KeyInfo, KeyRequest
from llmasos.service.access.keys import Keys
from llmasos.service.openapi import operation
from llmasos.service.replies import body, reply


def key_routes(keys: Keys) -> list[Route]:
    """Return the routes under `/v1/keys`."""
    api = _KeysApi(keys)
    return [
        Route("/v1/keys", api.list),
        Route("/v1/keys", api.create, methods=["POST"]),
        Route("/v1/keys/{id}", api.show),
        Route("/v1/keys/{id}/revoke", api.revoke, methods=["POST"]),
    ]


class _KeysApi:
    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @operation("List the keys and what they have used.", answer=KeyInfo, many=True)
    async def list(self, _request: Request) -> Response:
        return reply(await self._keys.list())

    @operation("Make a key; its secret is shown only now.", body=KeyRequest, answer=KeyCreated, status=201)
    async def create(self, request: Request) -> Response:
        return reply(await self._keys.create(await body(request, KeyRequest)), status=201)

    @operation("Show a key and what it has used.", answer=KeyInfo)
    async def show(self, request: Request) -> Response:
        return reply(await self._keys.get(request.path_params["id"]))

    @operation("End a key at once.", answer=KeyInfo)
    async def revoke(self, request: Request) -> Response:
        return reply(await self._keys.revoke(request.path_params["id"]))
