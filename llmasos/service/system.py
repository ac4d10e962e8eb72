"""The HTTP API of the kernel itself and its tools."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api import Check, Fingerprints, KernelInfo, ToolInfo
from llmasos.kernel import Kernel
from llmasos.service.access import needs
from llmasos.service.openapi import operation
from llmasos.service.replies import reply


def system_routes(kernel: Kernel, stop: Callable[[], None]) -> list[Route]:
    """Return the routes of the kernel, each with what it needs.

    Args:
        kernel: The kernel.
        stop: Asks the server to stop.
    """
    api = _SystemApi(kernel, stop)
    return [
        *needs(None, [Route("/v1/ping", api.ping)]),
        *needs("agent", [Route("/v1/tools", api.tools)]),
        *needs(
            "admin",
            [
                Route("/v1/kernel", api.kernel_info),
                Route("/v1/kernel/fingerprints", api.fingerprints),
                Route("/v1/kernel/doctor", api.doctor),
                Route("/v1/kernel/stop", api.stop, methods=["POST"]),
            ],
        ),
    ]


class _SystemApi:
    def __init__(self, kernel: Kernel, stop: Callable[[], None]) -> None:
        self._kernel = kernel
        self._stop = stop

    @operation("Answer.", status=204)
    async def ping(self, _request: Request) -> Response:
        return Response(status_code=204)

    @operation("Show the kernel's state.", answer=KernelInfo)
    async def kernel_info(self, _request: Request) -> Response:
        return reply(await self._kernel.info())

    @operation("Show keyed digests of the settings.", answer=Fingerprints)
    async def fingerprints(self, _request: Request) -> Response:
        return reply(self._kernel.fingerprints())

    @operation("Check each part.", answer=Check, many=True)
    async def doctor(self, _request: Request) -> Response:
        return reply(await self._kernel.doctor())

    @operation("Stop the kernel.", status=204)
    async def stop(self, _request: Request) -> Response:
        self._stop()
        return Response(status_code=204)

    @operation("List the tools.", answer=ToolInfo, many=True)
    async def tools(self, _request: Request) -> Response:
        return reply(self._kernel.tools_info())
