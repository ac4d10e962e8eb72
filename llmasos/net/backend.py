"""Connections of the HTTP library to the addresses that were checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import anyio
import httpcore2

from llmasos.net.reach import Reach, Resolver, checked

ResolverNow = Callable[[str, int], Sequence[str]]


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that were checked."""

    def __init__(self, reach: Reach, resolver: Resolver | None, inner: httpcore2.AsyncNetworkBackend) -> None:
        self._reach, self._resolver, self._inner = reach, resolver, inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        end = None if timeout is None else anyio.current_time() + timeout
        try:
            with anyio.fail_after(timeout):
                addresses = await self._reach.addresses(host, port, self._resolver)
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} was not resolved in time") from None
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for number, address in enumerate(addresses):
            left = None if end is None else (end - anyio.current_time()) / (len(addresses) - number)
            try:
                return await self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class BlockingBackend(httpcore2.NetworkBackend):
    """The same for code that blocks."""

    def __init__(self, reach: Reach, resolver: ResolverNow, inner: httpcore2.NetworkBackend) -> None:
        self._reach, self._resolver, self._inner = reach, resolver, inner

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return what to connect to for a host, as `Reach.addresses` does."""
        if self._reach.names(host, port):
            return [host]
        found = self._reach.foreign(host, port)
        return [found.name] if found.address is not None else checked(host, self._resolver(found.name, port))

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        end = None if timeout is None else time.monotonic() + timeout
        try:
            addresses = self.addresses(host, port)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for number, address in enumerate(addresses):
            # A time of 0 would mean not to wait at all.
            left = None if end is None else max(0.1, (end - time.monotonic()) / (len(addresses) - number))
            try:
                return self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed
