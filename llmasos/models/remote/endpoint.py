"""One OpenAI-compatible endpoint: requests with retries and timeouts, and streams of events."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from llmasos.errors import ModelError
from llmasos.models.remote import errors
from llmasos.models.scheduler.types import Refused
from llmasos.models.untrusted import read_json

if TYPE_CHECKING:
    import httpx2

_LINE = 8 << 20
_BODY = 64 << 20
_ERROR_BODY = 64 << 10

Event = dict[str, Any]
"""One event of a stream."""


@dataclass(frozen=True)
class Patience:
    """How long an endpoint is waited for, and how often it is asked.

    Args:
        connect: Seconds until a connection stands.
        first: Seconds until the first piece of a reply.
        between: Seconds between two pieces.
        total: Seconds for all of a reply.
        attempts: How often a request is sent that failed before anything came of it.
        pause: Seconds before the second attempt; they double from then on.
        longest: Seconds that a single pause lasts at most; an endpoint that asks for more is not waited for.
    """

    connect: float = 10.0
    first: float = 300.0
    between: float = 120.0
    total: float = 3600.0
    attempts: int = 3
    pause: float = 0.5
    longest: float = 20.0


@dataclass
class Endpoint:
    """Asks one base URL.

    Args:
        url: The base URL, as `https://example.org/v1`.
        key: Sent as a bearer token; it is never shown.
        patience: How long it is waited for.
    """

    url: str
    key: str = field(default="", repr=False)
    patience: Patience = Patience()
    _client: httpx2.AsyncClient | None = field(default=None, init=False, repr=False)

    async def get(self, path: str, *, name: str = "") -> Any:
        """Return the JSON at a path.

        Raises:
            ModelError: The endpoint cannot be reached, or answers with an error or no JSON.
        """
        async with self._answer("GET", path, None, name) as response:
            return _json(self.url, await _read(self.url, response, _BODY))

    async def post(self, path: str, body: dict[str, Any], *, name: str = "") -> Any:
        """Send a body and return the JSON of the answer, trying again where that may help.

        Raises:
            As `get`.
        """
        for pause in self._pauses():
            try:
                async with self._answer("POST", path, body, name) as response:
                    return _json(self.url, await _read(self.url, response, _BODY))
            except ModelError as error:
                await self._wait(error, pause)
        raise AssertionError("the last attempt raises")

    async def events(self, path: str, body: dict[str, Any], *, name: str = "") -> AsyncGenerator[Event]:
        """Send a body and yield the JSON of the events that stream back, up to `[DONE]` or the end.

        What fails before the first event is tried again.

        Raises:
            ModelError: The endpoint cannot be reached in time, or sends an error or no events.
        """
        deadline = anyio.current_time() + self.patience.total
        for pause in self._pauses():
            begun = False
            try:
                async with self._answer("POST", path, body, name) as response:
                    events = _events(self.url, response)
                    async with aclosing(events):
                        while True:
                            event = await self._next(events, begun, deadline)
                            if event is None and not begun:
                                raise errors.cut(self.url, name)
                            if event is None:
                                return
                            begun = True
                            yield event
            except ModelError as error:
                if begun and type(error) is errors.Unreachable:
                    raise errors.cut(self.url, name) from error
                if begun:
                    raise
                await self._wait(error, pause)

    async def close(self) -> None:
        """Close what is connected."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _next(self, events: AsyncIterator[Event], begun: bool, deadline: float) -> Event | None:
        patience = self.patience.between if begun else self.patience.first
        left = deadline - anyio.current_time()
        what = "end" if left < patience else "more" if begun else "reply"
        try:
            with anyio.fail_after(min(patience, left)):
                return await anext(events, None)
        except TimeoutError:
            raise errors.late(self.url, what, self.patience.total if what == "end" else patience) from None

    def _pauses(self) -> list[float | None]:
        """Return the pause after each attempt that fails; None after the last one."""
        pauses = [
            min(self.patience.pause * 2**attempt, self.patience.longest) * random.uniform(0.5, 1)  # noqa: S311
            for attempt in range(self.patience.attempts - 1)
        ]
        return [*pauses, None]

    async def _wait(self, error: ModelError, pause: float | None) -> None:
        """Wait before the next attempt, or raise the error when another one does not help."""
        helps = isinstance(error, (errors.Unreachable, errors.Failing, Refused))
        if pause is None or not helps or isinstance(error, errors.Late):
            raise error
        told = error.retry_after if isinstance(error, Refused) else None
        if told is not None and told > self.patience.longest:
            raise error
        await anyio.sleep(max(told or 0.0, pause))

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: dict[str, Any] | None, name: str
    ) -> AsyncGenerator[httpx2.Response]:
        import httpx2

        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        url = f"{self.url.rstrip('/')}/{path}"
        try:
            client = self._connected()
            async with client.stream(method, url, json=body, headers=headers) as response:
                if not response.is_success:
                    raise errors.refused(
                        self.url,
                        response.status_code,
                        name,
                        body=await _read(self.url, response, _ERROR_BODY, cut=True),
                        retry_after=errors.retry_after(response.headers.get("retry-after")),
                    )
                yield response
        except httpx2.ReadTimeout:
            raise errors.late(self.url, "reply", self.patience.first) from None
        except httpx2.DecodingError as error:
            raise errors.no_reply(self.url, "it is not encoded as it says") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise errors.unreachable(self.url) from error

    def _connected(self) -> httpx2.AsyncClient:
        import httpx2

        if self._client is None:
            self._client = httpx2.AsyncClient(
                # Certificates take long to load, and plain HTTP needs none; redirects are not followed.
                verify=not self.url.startswith("http://"),
                timeout=httpx2.Timeout(
                    max(self.patience.first, self.patience.between), connect=self.patience.connect
                ),
            )
        return self._client


async def _events(url: str, response: httpx2.Response) -> AsyncGenerator[Event]:
    """Yield the JSON of each event. Source: the event stream format of the HTML standard."""
    kind = response.headers.get("content-type", "")
    if not kind.startswith("text/event-stream"):
        body = await _read(url, response, _ERROR_BODY, cut=True)
        if message := errors.message_of(body):
            raise errors.no_reply(url, message)
        raise errors.no_reply(url, f"a stream was asked for, and {kind or 'nothing named'!r} came")
    data: list[bytes] = []
    async with aclosing(_lines(url, response)) as lines:
        async for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                text, data = b"\n".join(data), []
                if text.strip() == b"[DONE]":
                    return
                yield _object(url, text)
    if data and b"\n".join(data).strip() != b"[DONE]":
        yield _object(url, b"\n".join(data))


async def _lines(url: str, response: httpx2.Response) -> AsyncGenerator[bytes]:
    rest = bytearray()
    async for piece in response.aiter_bytes():
        start = len(rest)
        rest += piece
        while (end := rest.find(b"\n", start)) >= 0:
            yield bytes(rest[:end]).removesuffix(b"\r")
            del rest[: end + 1]
            start = 0
        if len(rest) > _LINE:
            raise errors.no_reply(url, f"a line of more than {_LINE >> 20} MiB")
    if rest:
        yield bytes(rest)


async def _read(url: str, response: httpx2.Response, limit: int, *, cut: bool = False) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > limit:
            if cut:
                break
            raise errors.no_reply(url, f"an answer of more than {limit >> 20} MiB")
    return bytes(body[:limit])


def _object(url: str, text: bytes) -> Event:
    found = _json(url, text)
    if not isinstance(found, dict):
        raise errors.no_reply(url, f"no object, {text[:60].decode('utf-8', 'replace')!r}")
    return found


def _json(url: str, text: bytes) -> Any:
    try:
        return read_json(text)
    except ValueError:
        raise errors.no_reply(url, f"no JSON, {text[:60].decode('utf-8', 'replace')!r}") from None
