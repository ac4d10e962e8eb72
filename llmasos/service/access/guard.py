"""The guard before everything that comes over TCP: the right host name, and a valid key within its limits."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Collection

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmasos.errors import LLMasOSError
from llmasos.service.access.account import Account
from llmasos.service.access.keys import Keys
from llmasos.service.access.logins import Logins
from llmasos.service.access.throttle import Throttle
from llmasos.service.refusals import LimitReached, Refusal, WrongKey, is_console, refused
from llmasos.service.targets import by_path

OPEN = ("/health", "/ready")
"""What needs no key: whoever balances loads asks it, and it says nothing of anybody."""

MOST_AT_ONCE = 256
"""Requests of one key that are under way: the connections that are left are for other keys."""

_LEFT = tuple(
    f"x-ratelimit-{part}-{what}"
    for part in ("limit", "remaining", "reset")
    for what in ("requests", "tokens")
)
_EXPOSED = ("retry-after", "x-request-id", "openai-processing-ms", *_LEFT)


class WrongHost(Refusal):
    """A request that was sent to another name: a web page may have had its own name lead here."""

    code = "host"
    status = 421


def guarded(
    app: ASGIApp,
    keys: Keys,
    *,
    origins: Collection[str] = (),
    names: Collection[str] | None = None,
    logins: Logins | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """Return the application as it may be reached over TCP.

    Args:
        app: The application.
        keys: The keys that open it.
        origins: Web origins whose pages may call it.
        names: Host names that requests may be sent to, beside loopback addresses; None means any.
        logins: Browsers that were let in to the console; None when there is none.
        clock: A monotonic clock in seconds.
    """
    guard = Guard(app, keys, names=names, logins=logins, clock=clock)
    if not origins:
        return guard
    return CORSMiddleware(
        guard,
        allow_origins=tuple(origins),
        allow_methods=("GET", "POST", "PATCH", "DELETE"),
        allow_headers=("*",),
        allow_private_network=True,
        expose_headers=_EXPOSED,
    )


class Guard:
    """Lets requests with a valid key through, with what they may do in `request.state.access`.

    Args:
        app: What is guarded.
        keys: The keys.
        names: Host names that requests may be sent to, beside loopback addresses; None means any.
        logins: Browsers that were let in to the console; None when there is none.
        clock: A monotonic clock in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        *,
        names: Collection[str] | None,
        logins: Logins | None = None,
        clock: Callable[[], float],
    ) -> None:
        self._app = app
        self._keys = keys
        self._names = None if names is None else {name.lower() for name in names}
        self._logins = logins
        self._throttle = Throttle(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            return
        scope = by_path(scope)
        try:
            self._check_host(Headers(scope=scope).get("host", ""))
            if scope["path"] in OPEN:
                await self._app(scope, receive, send)
                return
            if self._logins is not None and is_console(scope["path"]):
                await self._visit(self._logins, scope, receive, send)
                return
            account = await self._account(Request(scope))
        except LLMasOSError as error:
            await refused(scope["path"], error)(scope, receive, send)
            return
        await self._let(account, scope, receive, send)

    async def _visit(self, logins: Logins, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a browser through to the console, which asks those to log in who have not.

        A cookie counts there and nowhere else: no page of somebody else's can use it on the API.
        """
        login = logins.find(Request(scope).cookies.get(logins.cookie, ""))
        scope.setdefault("state", {})["login"] = login
        if login is None:
            await self._app(scope, receive, send)
            return
        with anyio.CancelScope() as running:
            login.running.add(running)
            try:
                if login.account is None:
                    await self._app(scope, receive, send)
                else:
                    await self._let(login.account, scope, receive, send)
            finally:
                login.running.discard(running)

    async def _let(self, account: Account, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request of a key through, within its limits and while it is valid."""
        try:
            if len(account.running) >= MOST_AT_ONCE:
                raise LimitReached(
                    f"The key {account.key.id} has {MOST_AT_ONCE} requests under way.",
                    hint="Wait for one to end.",
                    retry_after=1.0,
                )
            account.take_request()
        except LimitReached as error:
            if scope["method"] == "POST":
                await self._keys.refused(account, error.code)
            await refused(scope["path"], error)(scope, receive, _limited(send, account))
            return
        scope.setdefault("state", {})["access"] = self._keys.access(account)
        deadline = anyio.current_time() + account.seconds_left()
        with anyio.CancelScope(deadline=deadline) as running:
            account.running.add(running)
            try:
                await self._keys.used(account)
                await self._app(scope, receive, _limited(send, account))
            finally:
                account.running.discard(running)

    async def _account(self, request: Request) -> Account:
        secret = _secret(request.headers)
        account = await self._keys.find(secret)
        if account is not None and not account.ended:
            return account
        wait = self._throttle.failed(request.client.host if request.client else "")
        if wait:
            raise LimitReached(
                "Too many requests without a valid key came from this address.", retry_after=wait
            )
        if account is not None:
            raise WrongKey(
                f"The key {account.key.id} {account.ended}.",
                hint="Make another: `llmasos keys create --name NAME`.",
            )
        raise WrongKey(
            "The key is not valid." if secret else "A key is needed.",
            hint="Make one with `llmasos keys create --name NAME`, and send it as "
            "`Authorization: Bearer KEY`.",
        )

    def _check_host(self, host: str) -> None:
        name = _host_name(host)
        if self._names is None or name in self._names or _is_loopback(name):
            return
        raise WrongHost(
            f"Requests for the host {host[:100]!r} are not answered here.",
            hint="Use the address, or add the name to LLMASOS_SERVICE__NAMES.",
        )


def _limited(send: Send, account: Account) -> Send:
    """Return a `send` that adds what is left of the key's limits."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in account.limit_headers().items():
                headers[name] = value
        await send(message)

    return sending


def _secret(headers: Headers) -> str:
    kind, _, rest = headers.get("authorization", "").partition(" ")
    return rest.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "").strip()


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
