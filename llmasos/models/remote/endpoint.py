"""One OpenAI-compatible endpoint: requests with retries and timeouts, and streams of events."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from llmasos.errors import ModelError
from llmasos.models.engines.port import InvalidRequest
from llmasos.models.remote import errors
from llmasos.models.remote.stream import Event, read_answer, read_error, read_events
from llmasos.models.scheduler.types import Refused
from llmasos.net import OutOfReach, Reach

if TYPE_CHECKING:
    import httpx2

_CONNECTIONS = 1000
_KEPT_CONNECTIONS = 50


@dataclass(frozen=True)
class Patience:
    """How long an endpoint is waited for, and how often it is asked.

    Args:
        connect: Seconds until a connection stands.
        check: Seconds for a short question, such as which models there are.
        first: Seconds until the first piece of a reply.
        between: Seconds between two pieces.
        closing: Seconds for what comes behind the end of a reply.
        total: Seconds for all of a reply.
        attempts: How often a request is sent that failed before anything came of it.
        pause: Seconds before the second attempt; they double from then on.
        longest: Seconds that a single pause lasts at most; an endpoint that asks for more is not waited for.
    """

    connect: float = 10.0
    check: float = 30.0
    first: float = 300.0
    between: float = 120.0
    closing: float = 5.0
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
        with self._within(self.patience.check, "answer"):
            async with self._answer("GET", path, None, name, self.patience.check) as response:
                return await read_answer(self.url, response)

    async def post(self, path: str, body: dict[str, Any], *, name: str = "") -> Any:
        """Send a body and return the JSON of the answer, trying again where that may help.

        Raises:
            As `get`.
        """
        for pause in self._pauses():
            try:
                with self._within(self.patience.first, "answer"):
                    async with self._answer("POST", path, body, name, self.patience.first) as response:
                        return await read_answer(self.url, response)
            except ModelError as error:
                await self._wait(error, pause)
        raise AssertionError("the last attempt raises")

    async def events(
        self,
        path: str,
        body: dict[str, Any],
        *,
        name: str = "",
        ended: Callable[[], bool] = lambda: False,
    ) -> AsyncGenerator[Event]:
        """Send a body and yield the JSON of the events that stream back, up to `[DONE]` or the end.

        What fails before the first event is tried again.

        Args:
            path: Where it is sent.
            body: What is sent.
            name: The model that is asked, or empty.
            ended: Tells whether the reply has its end, so that little is lost of what still may come.

        Raises:
            ModelError: The endpoint cannot be reached in time, or sends an error or no events.
        """
        deadline = anyio.current_time() + self.patience.total
        for pause in self._pauses():
            begun = False
            seconds = min(self.patience.first, deadline - anyio.current_time())
            try:
                async with (
                    self._answer("POST", path, body, name, seconds) as response,
                    aclosing(read_events(self.url, response)) as events,
                ):
                    while True:
                        event = await self._next(events, begun, ended(), deadline)
                        if event is None and not begun:
                            raise errors.cut(self.url, name)
                        if event is None:
                            return
                        begun = True
                        yield event
            except ModelError as error:
                if begun and ended() and isinstance(error, errors.Unreachable):
                    return
                if begun and type(error) is errors.Unreachable:
                    raise errors.cut(self.url, name) from error
                if begun:
                    raise
                await self._wait(error, pause)

    def hidden(self, error: ModelError) -> ModelError:
        """Hide the key in an error, as an endpoint may say it in what it answers, and return the error."""
        return errors.without(error, self.key)

    async def close(self) -> None:
        """Close what is connected."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _next(
        self, events: AsyncIterator[Event], begun: bool, ended: bool, deadline: float
    ) -> Event | None:
        patience = self.patience.between if begun else self.patience.first
        patience = min(patience, self.patience.closing) if ended else patience
        left = deadline - anyio.current_time()
        what = "end" if left < patience else "more" if begun else "reply"
        with self._within(min(patience, left), what, self.patience.total if what == "end" else patience):
            return await anext(events, None)

    @contextmanager
    def _within(self, seconds: float, what: str, told: float | None = None) -> Iterator[None]:
        try:
            with anyio.fail_after(seconds):
                yield
        except TimeoutError:
            raise errors.late(self.url, what, seconds if told is None else told) from None

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
        self, method: str, path: str, body: dict[str, Any] | None, name: str, seconds: float
    ) -> AsyncGenerator[httpx2.Response]:
        import httpx2

        try:
            content = None if body is None else _encoded(body)
            url = f"{self.url.rstrip('/')}/{path}"
            asked = self._connected().stream(method, url, content=content, headers=self._headers())
            async with AsyncExitStack() as stack:
                with self._within(seconds, "reply"):
                    response = await stack.enter_async_context(asked)
                    if not response.is_success:
                        raise errors.refused(
                            self.url,
                            response.status_code,
                            name,
                            body=await read_error(self.url, response),
                            retry_after=errors.retry_after(response.headers.get("retry-after")),
                        )
                yield response
        except httpx2.ReadTimeout:
            raise errors.late(self.url, "reply", self.patience.first) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OutOfReach) as error:
            raise errors.unreachable(self.url) from error
        except ModelError as error:
            self.hidden(error)
            raise

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if not self.key:
            return headers
        if not (self.key.isascii() and self.key.isprintable()):
            raise errors.Denied(
                f"The key for {errors.shown(self.url)} has characters that no key has.",
                hint="Set LLMASOS_MODEL_KEY.",
            )
        return {**headers, "Authorization": f"Bearer {self.key}"}

    def _connected(self) -> httpx2.AsyncClient:
        import httpx2

        from llmasos.net.transport import checked_client

        if self._client is None:
            self._client = checked_client(
                Reach((self.url,)),  # Redirects are not followed.
                limits=httpx2.Limits(
                    max_connections=_CONNECTIONS, max_keepalive_connections=_KEPT_CONNECTIONS
                ),
                timeout=httpx2.Timeout(
                    max(self.patience.first, self.patience.between), connect=self.patience.connect
                ),
            )
        return self._client


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The request cannot be sent as JSON: {error}.", hint="Correct it.") from error
    # Half a character is none that could be sent.
    return text.encode("utf-8", "replace")
