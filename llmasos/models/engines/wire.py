"""Frames between the kernel and an engine's process: JSON behind its length, many requests at once."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any

from llmasos.errors import ModelError
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    ContextExceeded,
    EngineDied,
    InvalidRequest,
    OutOfMemory,
    TokenChoice,
)

CREDIT = 64
"""Chunks of one stream that may be under way and not taken yet."""

Frame = dict[str, Any]

_LENGTH = struct.Struct("!I")
_LARGEST = 2**30
_ERRORS = {kind.code: kind for kind in (ContextExceeded, InvalidRequest, OutOfMemory, EngineDied, ModelError)}


class Wire(asyncio.Protocol):
    """One end of the connection.

    Args:
        on_frame: Takes each frame that comes.
        on_lost: Told once that no more will come.
    """

    def __init__(self, on_frame: Callable[[Frame], None], on_lost: Callable[[], None]) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        place = 0
        while len(self._received) - place >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received, place)
            begin = place + _LENGTH.size
            if len(self._received) - begin < length:
                break
            place = begin + length
            self._on_frame(json.loads(self._received[begin:place]))
        del self._received[:place]

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost()

    def send(self, frame: Frame) -> None:
        """Send a frame; it is dropped when the other end is gone.

        Raises:
            InvalidRequest: It is too large.
        """
        data = json.dumps(frame, separators=(",", ":")).encode()
        if len(data) > _LARGEST:
            raise InvalidRequest("The request is too large for the engine.", hint="Send less at once.")
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_LENGTH.pack(len(data)) + data)

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()


def packed(chunk: Chunk) -> Frame:
    """Return a chunk as a frame carries it."""
    data: Frame = {"text": chunk.text, "tokens": chunk.tokens}
    if chunk.logprobs:
        data["logprobs"] = [_packed(choice) for choice in chunk.logprobs]
    if chunk.finish_reason is not None:
        data["finish_reason"] = chunk.finish_reason
    if chunk.usage is not None:
        data["usage"] = chunk.usage.model_dump()
    return data


def unpacked(data: Frame) -> Chunk:
    """Return the chunk that a frame carries."""
    return Chunk.model_validate(
        {**data, "logprobs": tuple(_unpacked(choice) for choice in data.get("logprobs", ()))}
    )


def _packed(choice: TokenChoice) -> list[Any]:
    # JSON has no bytes; the first 256 characters stand for them.
    data = choice.data.decode("latin-1")
    return [choice.text, data, choice.logprob, [_packed(other) for other in choice.others]]


def _unpacked(item: list[Any]) -> TokenChoice:
    text, data, logprob, others = item
    return TokenChoice(
        text=text,
        data=data.encode("latin-1"),
        logprob=logprob,
        others=tuple(_unpacked(other) for other in others),
    )


def failure(error: BaseException) -> Frame:
    """Return an error as a frame carries it."""
    if isinstance(error, ModelError):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, MemoryError):
        return {"code": OutOfMemory.code, "message": "There is no memory left.", "hint": "Unload a model."}
    return {
        "code": ModelError.code,
        "message": f"The engine failed: {type(error).__name__}: {error}.",
        "hint": "Try again; the kernel's log says more.",
    }


def raised(failed: Frame) -> ModelError:
    """Return the error that a frame carries."""
    return _ERRORS.get(failed["code"], ModelError)(failed["message"], hint=failed["hint"])


def kind(request: CompletionRequest) -> str:
    """Name what decides whether an engine can go on with a request that was stopped."""
    seeded = request.seed is not None and request.temperature > 0
    named = (("grammar", request.grammar), ("schema", request.json_schema), ("seed", seeded))
    return "+".join(name for name, given in named if given)


def kinds() -> dict[str, CompletionRequest]:
    """Return a request of every kind."""
    requests = [
        CompletionRequest(grammar=grammar, json_schema=schema, seed=seed, temperature=1.0)
        for grammar in ("", "root ::= [a]")
        for schema in ("", "{}")
        for seed in (None, 1)
    ]
    return {kind(request): request for request in requests}
