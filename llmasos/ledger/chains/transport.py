"""Ways to a JSON-RPC server: a Unix socket, HTTP, and a function in this process."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from llmasos.errors import ConfigError
from llmasos.ledger.chains.port import ChainError
from llmasos.net import OutOfReach, Reach

if TYPE_CHECKING:
    import httpx2

ANSWER_BYTES = 2**28
TIMEOUT_SECONDS = 60.0
SECRET_CHARACTERS = 6
HINT = "See that the node runs and that its address is right; it is tried again by itself."
_BROKEN = (
    OSError,
    ValueError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
)


class TooLarge(ChainError):
    """The answer is larger than what is read."""


class HttpStatus(ChainError):
    """The server answered with an HTTP error and no JSON.

    Args:
        status: The status code.
        retry_after: Seconds after which the server may be asked again, if it said so.
    """

    def __init__(self, place: str, status: int, retry_after: float | None = None) -> None:
        if status in (429, 503):
            when = "" if retry_after is None else f" for {retry_after:g} seconds"
            message = f"The chain at {place} wants no more requests{when} (HTTP {status})."
            hint = "It is tried again by itself; a slower `LLMASOS_LEDGER__MODE` such as `merkle` asks less."
        elif status in (401, 403):
            message = f"The chain at {place} does not let us in (HTTP {status})."
            hint = "Check the key in the URL."
        else:
            message = f"The chain at {place} answers with HTTP {status} instead of JSON-RPC."
            hint = HINT
        super().__init__(message, hint=hint)
        self.status, self.retry_after = status, retry_after


class Transport(Protocol):
    """Carries one question at a time to a server.

    Args:
        place: The server as errors name it; it holds no secrets.
        secrets: What the server could repeat and errors must not.
    """

    place: str
    secrets: tuple[str, ...]

    async def exchange(self, question: bytes) -> bytes:
        """Send a JSON text and return the answer.

        Raises:
            ChainError: There is none, or not in time.
        """

    async def close(self) -> None:
        """Let go of the server; the next question reaches it again."""


class UnixTransport:
    """One connection to a Unix socket, whose server answers each line with a line.

    Args:
        path: The socket.
        timeout: Seconds to wait for one answer.
        limit: The most bytes of an answer.
    """

    def __init__(self, path: Path, timeout: float = TIMEOUT_SECONDS, limit: int = ANSWER_BYTES) -> None:
        self.place = str(path)
        self.secrets: tuple[str, ...] = ()
        self._path, self._timeout, self._limit = path, timeout, limit
        self._stream: anyio.abc.SocketStream | None = None
        self._lock = anyio.Lock()

    async def exchange(self, question: bytes) -> bytes:
        """Send a JSON text and return the answer."""
        async with self._lock:
            answer = None
            try:
                with anyio.fail_after(self._timeout):
                    if self._stream is None:
                        self._stream = await anyio.connect_unix(self._path)
                        self._buffer = BufferedByteReceiveStream(self._stream)
                    await self._stream.send(question + b"\n")
                    answer = await self._buffer.receive_until(b"\n", self._limit)
            except anyio.DelimiterNotFound:
                raise _too_large(self.place, self._limit) from None
            except TimeoutError:
                raise _late(self.place, self._timeout) from None
            except _BROKEN as error:
                raise ChainError(
                    f"The chain at {self.place} does not answer: {type(error).__name__} {error}".rstrip()
                    + ".",
                    hint=HINT,
                ) from error
            finally:
                # An answer that was not waited for must not be taken for the next one's.
                if answer is None:
                    await self.close()
        return answer

    async def close(self) -> None:
        """Close the connection; the next question opens another."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await anyio.aclose_forcefully(stream)


class HttpTransport:
    """A server behind an HTTP or HTTPS URL, whose user, path and query may hold secrets and are never shown.

    Args:
        url: The URL.
        timeout: Seconds to wait for one answer.
        limit: The most bytes of an answer.

    Raises:
        ConfigError: It is not such a URL.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS, limit: int = ANSWER_BYTES) -> None:
        self.place, self.secrets = shown_url(url), _secrets(url)
        self._url, self._timeout, self._limit = url, timeout, limit
        self._client: httpx2.AsyncClient | None = None

    async def exchange(self, question: bytes) -> bytes:
        """Send a JSON text and return the answer."""
        import httpx2

        from llmasos.net.transport import checked_client

        if self._client is None:
            # The library logs every URL as it is; the time-out below covers the whole exchange.
            logging.getLogger("httpx2").addFilter(self._silent)
            self._client = checked_client(Reach((self._url,)), timeout=None)
        headers = {"content-type": "application/json"}
        try:
            with anyio.fail_after(self._timeout):
                async with self._client.stream(
                    "POST", self._url, content=question, headers=headers
                ) as response:
                    body = bytearray()
                    async for part in response.aiter_bytes():
                        body += part
                        if len(body) > self._limit:
                            raise _too_large(self.place, self._limit)
        except TimeoutError:
            raise _late(self.place, self._timeout) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OutOfReach, ValueError, OSError) as error:
            # Their texts could hold the URL.
            raise ChainError(
                f"The chain at {self.place} does not answer: {type(error).__name__}.", hint=HINT
            ) from None
        if response.status_code != 200 and (
            response.status_code in (401, 403, 429, 503) or not body.lstrip().startswith((b"{", b"["))
        ):
            waiting = response.headers.get("retry-after", "")
            after = float(waiting) if waiting.isascii() and waiting.isdigit() else None
            raise HttpStatus(self.place, response.status_code, after)
        return bytes(body)

    async def close(self) -> None:
        """Close the connections; the next question opens others."""
        if self._client is not None:
            client, self._client = self._client, None
            logging.getLogger("httpx2").removeFilter(self._silent)
            with anyio.CancelScope(shield=True):
                await client.aclose()

    def _silent(self, record: logging.LogRecord) -> bool:
        return self._url not in record.getMessage()

    def __repr__(self) -> str:
        return f"HttpTransport({self.place!r})"


class CallTransport:
    """A function in this process that answers, for tests.

    Args:
        answer: Takes the question and returns the answer.
    """

    place = "memory"
    secrets: tuple[str, ...] = ()

    def __init__(self, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._answer = answer

    async def exchange(self, question: bytes) -> bytes:
        """Return the function's answer."""
        return await self._answer(question)

    async def close(self) -> None:
        """Do nothing."""


def transport_to(url: str, timeout: float = TIMEOUT_SECONDS) -> Transport:
    """Return the way to an HTTP URL, or to a socket given by its absolute path.

    Raises:
        ConfigError: It is neither.
    """
    if url.startswith("/"):
        return UnixTransport(Path(url), timeout)
    return HttpTransport(url, timeout)


def shown_url(url: str) -> str:
    """Return a URL without what could be a secret: its scheme, host and port.

    Raises:
        ConfigError: It is not an HTTP or HTTPS URL.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in ("http", "https") or not host:
        raise ConfigError(
            "The URL of the chain cannot be used: it does not begin with http://HOST or https://HOST.",
            hint="Give the JSON-RPC URL of a node, such as http://127.0.0.1:8545, or the path of its socket.",
        )
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" + (f":{port}" if port else "")


def _secrets(url: str) -> tuple[str, ...]:
    """Return the parts of a URL that are long enough to be keys."""
    parts = urlsplit(url)
    words = re.split(r"[/&=:@]", "/".join([parts.netloc.rpartition("@")[0], parts.path, parts.query]))
    found = {word for part in words for word in (part, unquote(part))}
    return tuple(word for word in found if len(word) >= SECRET_CHARACTERS)


def _late(place: str, timeout: float) -> ChainError:
    return ChainError(f"The chain at {place} does not answer within {timeout:g} seconds.", hint=HINT)


def _too_large(place: str, limit: int) -> TooLarge:
    return TooLarge(
        f"The chain at {place} answers with more than {limit} bytes.",
        hint="Use another node; this one misbehaves.",
    )
