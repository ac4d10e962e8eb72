"""Whatever a worker sends, the host ends with an outcome or a typed error, and with little memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.config import SandboxLimits
from llmasos.errors import LLMasOSError, SandboxError, ToolError
from llmasos.sandbox import Outcome
from llmasos.sandbox._channel import WorkerSandbox
from llmasos.sandbox.port import MOST_ARTIFACTS
from llmasos.sandbox.worker.channel import Decoder, Frame, encode

LIMITS = SandboxLimits(output_bytes=10_000)
Action = Callable[[WorkerSandbox], Awaitable[Any]]


async def talk(said: bytes, action: Action, *, hang_up: bool = True) -> Any:
    """Return what comes of an action on a sandbox whose worker says this, whatever it is asked."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    closed: list[bool] = []

    async def end() -> None:
        closed.append(True)

    async def worker() -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            await loop.sock_recv(theirs, 65536)
            await loop.sock_sendall(theirs, said)
            if hang_up:
                theirs.shutdown(socket.SHUT_WR)
            # It goes on listening, so that replies have somewhere to go.
            while await loop.sock_recv(theirs, 65536):
                pass

    sandbox = WorkerSandbox("fake", ours, end, LIMITS)
    theirs.send(encode({"ready": 1}))
    await sandbox.start(5)
    # No task group: it would wrap the error that is looked for.
    answering = asyncio.create_task(worker())
    try:
        return await action(sandbox)
    finally:
        await sandbox.close()
        answering.cancel()
        await asyncio.wait([answering])
        theirs.close()
        assert closed == [True]


async def no_call(name: str, arguments: dict[str, Any]) -> object:
    return {name: arguments}


ACTIONS: dict[str, Action] = {
    "command": lambda sandbox: sandbox.run_command("x", timeout=60),
    "python": lambda sandbox: sandbox.run_python("x", timeout=60, on_call=no_call, functions={"f": ("a",)}),
    "read": lambda sandbox: sandbox.read("x"),
    "write": lambda sandbox: sandbox.write("x", b""),
    "list": lambda sandbox: sandbox.list(),
    "search": lambda sandbox: sandbox.search("x"),
    "start_job": lambda sandbox: sandbox.start_job("x"),
    "jobs": lambda sandbox: sandbox.jobs(),
    "job_output": lambda sandbox: sandbox.job_output("j-1"),
    "save_state": lambda sandbox: sandbox.save_state("x"),
    "attach": lambda sandbox: sandbox.attach(),
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["ok", "j-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(
    [
        *("status", "exit_code", "result", "truncated", "restarted", "done", "error", "size", "entries"),
        *("omitted", "matches", "job", "jobs", "offset", "call", "name", "arguments", "stream", "artifact"),
    ]
)
objects = st.dictionaries(keys, values, max_size=5)
frames = st.builds(
    lambda number, body, done, data: encode({"id": number, **body, **({"done": done} if done else {})}, data),
    st.sampled_from([1, 1, 1, 2, -1, "1", None, [], 1.0]),
    objects,
    st.one_of(st.none(), objects, values),
    st.binary(max_size=20),
)
raw = st.binary(max_size=40) | st.builds(
    lambda text, lie: struct.pack(">II", len(text) + lie, 0) + text, st.binary(max_size=30), st.integers(0, 5)
)


@pytest.mark.parametrize("action", ACTIONS)
@settings(max_examples=40, deadline=None)
@given(said=st.lists(frames | raw, max_size=5).map(b"".join))
def test_nothing_a_worker_sends_escapes_as_another_error(action: str, said: bytes) -> None:
    with contextlib.suppress(LLMasOSError):
        anyio.run(talk, said, ACTIONS[action])


DONE = encode({"id": 1, "done": {"status": "ok", "exit_code": 0}})


def command(said: bytes) -> Outcome:
    outcome = anyio.run(talk, said, ACTIONS["command"])
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.parametrize(
    "said",
    [
        struct.pack(">II", 1 << 31, 0),
        struct.pack(">II", 2, 1 << 30) + b"{}",
        struct.pack(">II", 200_000, 0) + b"[" * 200_000,
        encode({"id": 1, "done": []}),
        encode({"id": 1}),
        encode({"done": {}}),
        encode({"id": 1, "call": 1, "name": "f", "arguments": {}}),
        encode({"id": 7, "stream": "stdout"}, b"x") * 2000,
        encode({"id": 1, "stream": "stdout"}, b"x" * 1000) * 200,
        encode([]),  # type: ignore[arg-type]
    ],
    ids=["long", "large", "deep", "list", "empty", "nobody", "call", "stray", "flood", "array"],
)
def test_a_worker_that_breaks_the_rules_is_not_trusted_any_more(said: bytes) -> None:
    with pytest.raises(SandboxError, match="cannot be trusted"):
        command(said + DONE)


def test_a_lie_about_the_status_is_no_verdict() -> None:
    lies: list[object] = ["root", 7, None, ["ok"], {}]
    for status in lies:
        assert command(encode({"id": 1, "done": {"status": status}})).status == "lost"


def test_a_character_in_two_pieces_is_one() -> None:
    said = encode({"id": 1, "stream": "stdout"}, "語".encode()[:2]) + encode(
        {"id": 1, "stream": "stdout"}, "語".encode()[2:]
    )
    assert command(said + DONE).output == "語"


def test_artifacts_beyond_the_number_are_dropped() -> None:
    outcome = command(encode({"id": 1, "artifact": "x"}, b"x") * 50 + DONE)
    assert len(outcome.artifacts) == MOST_ARTIFACTS


def test_a_second_answer_is_ignored() -> None:
    again = encode({"id": 1, "done": {"status": "failed", "exit_code": 9}})
    assert command(DONE + again).exit_code == 0


def test_a_frame_takes_little_memory_whatever_it_holds() -> None:
    bomb = b'{"a":[' + b"[]," * 349_000 + b"0]}"
    tracemalloc.start()
    try:
        for _ in Decoder().feed(struct.pack(">II", len(bomb), 0) + bomb):
            pass
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_a_worker_that_falls_silent_ends_with_its_sandbox() -> None:
    async def action(sandbox: WorkerSandbox) -> Outcome:
        outcome = await sandbox.run_command("x", timeout=0.01)
        assert sandbox.lost
        return outcome

    async def run() -> Outcome:
        found = await talk(encode({"id": 1, "stream": "stdout"}, b"so far"), action, hang_up=False)
        assert isinstance(found, Outcome)
        return found

    outcome = anyio.run(run)
    assert (outcome.status, outcome.output) == ("timeout", "so far")


def test_a_tools_refusal_reaches_the_cell_as_its_message() -> None:
    replies: list[Frame] = []

    async def refuse(name: str, arguments: dict[str, Any]) -> object:
        raise ToolError("no", hint="Ask.")

    async def run() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        sandbox = WorkerSandbox("fake", ours, anyio.lowlevel.checkpoint, LIMITS)
        theirs.send(encode({"ready": 1}))
        await sandbox.start(5)
        loop, decoder = asyncio.get_running_loop(), Decoder()

        async def worker() -> None:
            await loop.sock_recv(theirs, 65536)
            await loop.sock_sendall(theirs, encode({"id": 1, "call": 5, "name": "f", "arguments": {}}))
            replies.extend(decoder.feed(await loop.sock_recv(theirs, 65536)))
            await loop.sock_sendall(theirs, DONE)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker)
            await sandbox.run_python("x", timeout=60, on_call=refuse)
        await sandbox.close()
        theirs.close()

    anyio.run(run)
    assert [(reply["call"], reply["error"]) for reply in replies] == [(5, "no")]


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_deep_nesting_is_refused_whatever_the_recursion_limit_is(bracket: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        with pytest.raises(ValueError, match="nested too deeply"):
            list(Decoder().feed(_framed(bracket * 150_000)))
    finally:
        sys.setrecursionlimit(limit)


def test_many_brackets_that_are_not_deep_are_fine() -> None:
    text = json.dumps({"entries": [{"path": '[[["\\"[{' * 50} for _ in range(500)]})
    (frame,) = Decoder().feed(_framed(text))
    assert len(frame["entries"]) == 500


def _framed(text: str) -> bytes:
    return struct.pack(">II", len(text), 0) + text.encode()
