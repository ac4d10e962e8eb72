"""A JSON-RPC client on a Unix socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from llmasos.ledger.chains.port import ChainError

ANSWER_BYTES = 2**30
_BROKEN = (
    OSError,
    ValueError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    anyio.EndOfStream,
    anyio.IncompleteRead,
)


class RpcError(ChainError):
    """The chain answered with an error."""

    def __init__(self, method: str, message: str) -> None:
        super().__init__(f"The chain refused {method}: {message}.", hint="See `llmasos ledger status`.")


class RpcClient:
    """One connection, one request at a time.

    The ledger needs ten methods. web3's `IPCProvider` would cost most of a second to import, and spins on the
    processor until its time-out when the node dies while it answers.

    Args:
        path: The socket.
        timeout: Seconds to wait for one answer.
    """

    def __init__(self, path: Path, timeout: float = 60.0) -> None:
        self._path, self._timeout = path, timeout
        self._stream: anyio.abc.SocketStream | None = None
        self._lock = anyio.Lock()
        self._ident = 0

    async def request(self, method: str, *params: Any) -> Any:
        """Return the result of one call.

        Raises:
            RpcError: The node answered with an error.
            ChainError: The node cannot be reached, or its answer is not JSON-RPC.
        """
        async with self._lock:
            self._ident += 1
            question = {"jsonrpc": "2.0", "id": self._ident, "method": method, "params": params}
            answer = None
            try:
                answer = await self._exchange(json.dumps(question).encode() + b"\n")
            except _BROKEN as error:
                raise ChainError(
                    f"The chain at {self._path} does not answer {method}: {type(error).__name__} {error}",
                    hint="It is started again by itself; see `llmasos ledger status`.",
                ) from error
            finally:
                # An answer that was not waited for must not be taken for the next one's.
                if answer is None:
                    await self.close()
        if not isinstance(answer, dict) or answer.get("id") != question["id"]:
            await self.close()
            raise ChainError(
                f"The chain at {self._path} answered {method} with something that is not JSON-RPC."
            )
        if "error" in answer:
            raise RpcError(method, str(answer["error"].get("message", "no reason given")))
        return answer["result"]

    async def _exchange(self, question: bytes) -> Any:
        with anyio.fail_after(self._timeout):
            if self._stream is None:
                self._stream = await anyio.connect_unix(self._path)
                self._buffer = BufferedByteReceiveStream(self._stream)
            await self._stream.send(question)
            return json.loads(await self._buffer.receive_until(b"\n", ANSWER_BYTES))

    async def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await anyio.aclose_forcefully(stream)
