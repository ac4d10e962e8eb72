"""The HTTP API of plugins: what is installed, what it needs, and what a person has enabled."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api import EnableRequest, PluginInfo
from llmasos.kernel import Kernel
from llmasos.service.access import needs
from llmasos.service.openapi import operation
from llmasos.service.replies import body, reply

_ONE = "/v1/plugins/{name}"


def plugin_routes(kernel: Kernel) -> list[Route]:
    """Return the routes under `/v1/plugins`: what code may run is a person's decision."""
    api = _PluginApi(kernel)
    return needs(
        "admin",
        [
            Route("/v1/plugins", api.list),
            Route(_ONE, api.show),
            Route(f"{_ONE}/enable", api.enable, methods=["POST"]),
            Route(f"{_ONE}/disable", api.disable, methods=["POST"]),
        ],
    )


class _PluginApi:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @operation("List the plugins that are installed, without running any.", answer=PluginInfo, many=True)
    async def list(self, _request: Request) -> Response:
        return reply(await self._kernel.others.all())

    @operation("Show a plugin with its tools, which are found out in a jail.", answer=PluginInfo)
    async def show(self, request: Request) -> Response:
        return reply(await self._kernel.others.show(request.path_params["name"]))

    @operation("Offer the tools of a plugin.", body=EnableRequest, answer=PluginInfo)
    async def enable(self, request: Request) -> Response:
        wanted = await body(request, EnableRequest)
        name = request.path_params["name"]
        return reply(await self._kernel.others.enable(name, wanted.sha256, in_kernel=wanted.in_kernel))

    @operation("Offer the tools of a plugin no longer.", answer=PluginInfo)
    async def disable(self, request: Request) -> Response:
        return reply(await self._kernel.others.disable(request.path_params["name"]))
