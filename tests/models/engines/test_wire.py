"""Frames, and what they carry."""

from typing import Any, cast

import pytest

from llmasos.errors import ModelError
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    ContextExceeded,
    EngineDied,
    InvalidRequest,
    OutOfMemory,
    TokenChoice,
    TokenUsage,
)
from llmasos.models.engines.wire import Frame, Wire, failure, kind, kinds, packed, raised, unpacked


class Pipe:
    """Takes what one end writes and gives it to another, in small parts."""

    def __init__(self, wire: Wire, size: int) -> None:
        self._wire = wire
        self._size = size

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), self._size):
            self._wire.data_received(data[start : start + self._size])


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1000])
def test_frames_arrive_whole_however_they_are_cut(size: int) -> None:
    received: list[Frame] = []
    there = Wire(received.append, lambda: None)
    here = Wire(received.append, lambda: None)
    here._transport = cast(Any, Pipe(there, size))
    frames: list[Frame] = [{"id": 1, "text": "中\ud800😀\n"}, {"id": 2}, {"id": 3, "value": [1.5, None, -1e308]}]
    for frame in frames:
        here.send(frame)
    assert received == frames


def test_a_chunk_comes_out_as_it_went_in() -> None:
    other = TokenChoice(text="\ufffd", data=b"\xf0\x9f", logprob=float("-inf"))
    choice = TokenChoice(text="a", data=b"a", logprob=-0.25, others=(other, other))
    for chunk in (
        Chunk(text="a", tokens=(1, 2), logprobs=(choice, other)),
        Chunk(text="", finish_reason="stop", usage=TokenUsage(input=1, cached=2, output=3)),
    ):
        assert unpacked(packed(chunk)) == chunk


@pytest.mark.parametrize("error", [ContextExceeded, InvalidRequest, OutOfMemory, EngineDied, ModelError])
def test_an_error_keeps_its_type_and_its_hint(error: type[ModelError]) -> None:
    came = raised(failure(error("It is wrong.", hint="Do this.")))
    assert (type(came), came.message, came.hint) == (error, "It is wrong.", "Do this.")


def test_what_nobody_expected_becomes_an_error_of_the_model() -> None:
    assert type(raised(failure(MemoryError()))) is OutOfMemory
    came = raised(failure(KeyError("x")))
    assert type(came) is ModelError
    assert "KeyError" in came.message


def test_every_kind_of_request_has_its_name() -> None:
    assert len(kinds()) == 8
    assert kind(CompletionRequest(seed=1)) == ""
    assert kind(CompletionRequest(seed=1, temperature=1)) == "seed"
    assert kind(CompletionRequest(grammar="x", json_schema="y")) == "grammar+schema"
