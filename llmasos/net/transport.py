"""HTTP clients whose every connection goes where it may, to the very address that was checked.

This module loads the HTTP library; import it where it is used.
"""

from __future__ import annotations

import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore2
import httpx2

from llmasos.net.backend import BlockingBackend, CheckedBackend, ResolverNow
from llmasos.net.reach import OutOfReach, Reach, Resolver, resolve_now

_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20)
_ENDS = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException)


def checked_client(reach: Reach, *, limits: httpx2.Limits = _LIMITS, **options: Any) -> httpx2.AsyncClient:
    """Return a client that fetches from where it may, and neither keeps cookies nor follows redirects.

    Args:
        reach: Where it may connect to.
        limits: Of its connections.
        options: Further ones of `httpx2.AsyncClient`.
    """
    transport = CheckedTransport(reach, limits=limits)
    return httpx2.AsyncClient(transport=transport, cookies=no_cookies(), **options)


def checked_client_now(reach: Reach, **options: Any) -> httpx2.Client:
    """Return one for code that blocks, which follows redirects to where it may.

    Args:
        reach: Where it may connect to.
        options: Further ones of `httpx2.Client`.
    """
    return httpx2.Client(
        transport=BlockingTransport(reach),
        cookies=no_cookies(),
        event_hooks={"response": [lambda response: check_redirect(reach, response)]},
        follow_redirects=True,
        **options,
    )


def check_redirect(reach: Reach, response: httpx2.Response) -> None:
    """See that a redirect leads neither from HTTPS to HTTP nor to a host that was named for other uses.

    Raises:
        OutOfReach: It does, or is none that can be followed.
    """
    if not response.has_redirect_location:
        return
    here, location = response.request.url, response.headers["location"]
    try:
        there = here.join(location)
    except httpx2.InvalidURL:
        raise OutOfReach(location, "it is a redirect that is no URL") from None
    if there.scheme not in ("http", "https") or not there.host or there.userinfo:
        raise OutOfReach(location, "it is a redirect to no plain http:// or https:// address")
    if (here.scheme, there.scheme) == ("https", "http"):
        raise OutOfReach(location, "it is a redirect from https:// to http://")
    if _place(here) != _place(there) and not reach.leads(*_place(there)):
        raise OutOfReach(location, f"{here.host} leads to it, which was not named for that")


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Sends requests over connections to checked addresses.

    Args:
        reach: Where it may connect to.
        limits: Of its connections.
        resolver: Returns the addresses of a name.
        backend: Connects to an address.
    """

    def __init__(
        self,
        reach: Reach,
        *,
        limits: httpx2.Limits = _LIMITS,
        resolver: Resolver | None = None,
        backend: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._reach, self._limits, self._resolver = reach, limits, resolver
        self._backend = CheckedBackend(reach, resolver, backend or httpcore2.AnyIOBackend())
        self._proxied: dict[str, httpx2.AsyncHTTPTransport] = {}
        self._pools: dict[bytes, httpcore2.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request.

        Raises:
            OutOfReach: Its host may not be connected to.
            httpx2.HTTPError: It fails.
        """
        if proxy := _proxy(request.url):
            host, port = _place(request.url)
            with suppress(OSError):  # Behind a proxy, only the proxy may know names.
                await self._reach.addresses(host, port, self._resolver)
            if proxy not in self._proxied:
                self._proxied[proxy] = httpx2.AsyncHTTPTransport(proxy=proxy, limits=self._limits)
            return await self._proxied[proxy].handle_async_request(request)
        with _errors(request):
            response = await self._pool(request).handle_async_request(_outgoing(request))
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_AsyncBody(response.stream, request),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()
        for proxied in self._proxied.values():
            await proxied.aclose()

    def _pool(self, request: httpx2.Request) -> httpcore2.AsyncConnectionPool:
        scheme = request.url.raw_scheme
        if scheme not in self._pools:
            self._pools[scheme] = httpcore2.AsyncConnectionPool(
                network_backend=self._backend, **_pool_options(scheme, self._limits)
            )
        return self._pools[scheme]


class BlockingTransport(httpx2.BaseTransport):
    """The same for code that blocks.

    Args:
        reach: Where it may connect to.
        resolver: Returns the addresses of a name.
        backend: Connects to an address.
    """

    def __init__(
        self,
        reach: Reach,
        *,
        resolver: ResolverNow = resolve_now,
        backend: httpcore2.NetworkBackend | None = None,
    ) -> None:
        self._backend = BlockingBackend(reach, resolver, backend or httpcore2.SyncBackend())
        self._proxied: dict[str, httpx2.HTTPTransport] = {}
        self._pools: dict[bytes, httpcore2.ConnectionPool] = {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request.

        Raises:
            As `CheckedTransport.handle_async_request`.
        """
        if proxy := _proxy(request.url):
            with suppress(OSError):
                self._backend.addresses(*_place(request.url))
            if proxy not in self._proxied:
                self._proxied[proxy] = httpx2.HTTPTransport(proxy=proxy)
            return self._proxied[proxy].handle_request(request)
        scheme = request.url.raw_scheme
        if scheme not in self._pools:
            self._pools[scheme] = httpcore2.ConnectionPool(
                network_backend=self._backend, **_pool_options(scheme, _LIMITS)
            )
        with _errors(request):
            response = self._pools[scheme].handle_request(_outgoing(request))
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream, request),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()
        for proxied in self._proxied.values():
            proxied.close()


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, request: httpx2.Request) -> None:
        self._stream, self._request = stream, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors(self._request):
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Any, request: httpx2.Request) -> None:
        self._stream, self._request = stream, request

    def __iter__(self) -> Iterator[bytes]:
        with _errors(self._request):
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


@contextmanager
def _errors(request: httpx2.Request) -> Iterator[None]:
    """Raise errors of the lower library as those of the upper one, which have the same names."""
    try:
        yield
    except (*_ENDS, httpcore2.UnsupportedProtocol) as error:
        kind = getattr(httpx2, type(error).__name__, httpx2.TransportError)
        raise kind(str(error), request=request) from error


def _outgoing(request: httpx2.Request) -> httpcore2.Request:
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _pool_options(scheme: bytes, limits: httpx2.Limits) -> dict[str, Any]:
    # Certificates take long to load, and plain HTTP needs none.
    return {
        "ssl_context": httpx2.create_ssl_context() if scheme == b"https" else None,
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive_connections,
        "keepalive_expiry": limits.keepalive_expiry,
    }


def _place(url: httpx2.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def _proxy(url: httpx2.URL) -> str:
    """Return the URL of the proxy that the environment names for a URL, or nothing."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all") or ""
    if not proxy or urllib.request.proxy_bypass(url.host):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def no_cookies() -> CookieJar:
    """Return a place that keeps none."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
