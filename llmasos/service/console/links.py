"""The HTTP API of links that open the console."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api.console import ConsoleLink, ConsoleRequest
from llmasos.config import ServiceSettings
from llmasos.errors import ConfigError
from llmasos.service.access import Keys, Logins
from llmasos.service.access.logins import LINK_SECONDS
from llmasos.service.openapi import operation
from llmasos.service.refusals import CONSOLE
from llmasos.service.replies import body, reply

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - it is compared, not listened on


def link_routes(settings: ServiceSettings, keys: Keys, logins: Logins | None) -> list[Route]:
    """Return the route that makes links; without a console it says how to have one.

    Args:
        settings: Where the console is.
        keys: The keys as which a link may let in.
        logins: The browsers that are let in; None when the console is off.
    """
    api = _Links(settings, keys, logins)
    return [Route("/v1/console/links", api.make, methods=["POST"])]


class _Links:
    def __init__(self, settings: ServiceSettings, keys: Keys, logins: Logins | None) -> None:
        self._settings = settings
        self._keys = keys
        self._logins = logins

    @operation("Make a link that opens the console in one browser.", body=ConsoleRequest, answer=ConsoleLink)
    async def make(self, request: Request) -> Response:
        wanted = await body(request, ConsoleRequest)
        if self._logins is None:
            raise ConfigError(
                "The console is off.",
                hint="`llmasos stop`, then `llmasos serve --console`. So that every kernel has it, set "
                "LLMASOS_SERVICE__CONSOLE=true, or `console = true` under [service] in config.toml.",
            )
        access = request.state.access
        named = wanted.key or (access.key_id if access is not None else "")
        account = await self._keys.account(named) if named else None
        url = f"{_address(self._settings)}{CONSOLE}/login?token={self._logins.link(account)}"
        return reply(ConsoleLink(url=url, seconds=LINK_SECONDS))


def _address(settings: ServiceSettings) -> str:
    """Return where a browser on this machine, or behind its proxy, finds the kernel."""
    if settings.host not in _EVERYWHERE:
        return settings.url
    name = settings.names[0] if settings.names else "localhost"
    return settings.model_copy(update={"host": name}).url
