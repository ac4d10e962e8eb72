"""A JSON-RPC client on a Unix socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from llmasos.ledger._chain import ChainError

ANSWER_BYTES = 2**30


class RpcError(ChainError):
    """The chain answered with an error."""

    def __init__(self, method: str, message: str) -> None:
        super().__init__(f"The chain refused {method}: {message}.", hint="See `llmasos ledger status`.")


class RpcClient:
    """One connection, one request at a time.

    web3's `IPCProvider` spins on the processor until its time-out when the node dies while answering, and importing
    it costs most of a second; the ledger needs ten methods.

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
            try:
                answer = await self._exchange(json.dumps(question).encode() + b"\n")
            except BaseException as error:
                # An abandoned answer must not be taken for the next one's.
                await self.close()
                if isinstance(
                    error, OSError | ValueError | TimeoutError | anyio.BrokenResourceError
                ) or isinstance(
                    error,
                    anyio.IncompleteRead
                    | anyio.DelimiterNotFound
                    | anyio.EndOfStream
                    | anyio.ClosedResourceError,
                ):
                    raise ChainError(
                        f"The chain at {self._path} does not answer {method}: {type(error).__name__} {error}".rstrip(),
                        hint="It is started again by itself; see `llmasos ledger status`.",
                    ) from error
                raise
        if not isinstance(answer, dict) or answer.get("id") != self._ident:
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
