"""Captured output is cut at characters, and counts what it leaves out."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmasos.sandbox.worker.output import Capture


def captured(pieces: list[bytes], cap: int) -> tuple[bytes, bool]:
    got: list[bytes] = []
    capture = Capture(cap, 1 << 40, lambda stream, data: got.append(data), lambda: None)
    for piece in pieces:
        capture.take("stdout", piece)
    capture.finish()
    return b"".join(got), capture.truncated


@settings(deadline=None)
@given(
    st.text(alphabet="aé語🙂\n", max_size=400),
    st.lists(st.integers(1, 30), min_size=1),
    st.integers(40, 2000),
)
@example("aaaaaaaaééé語語語🙂🙂語語🙂", [1], 40)
@example("🙂" * 40, [1, 2], 41)
def test_what_is_kept_and_what_is_counted_make_the_whole(text: str, sizes: list[int], cap: int) -> None:
    data = text.encode()
    pieces, place, turn = [], 0, 0
    while place < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[place : place + size])
        place, turn = place + size, turn + 1
    got, truncated = captured(pieces, cap)
    assert truncated or len(data) <= cap
    if not truncated:
        assert got == data
        return
    head, missing, tail = re.fullmatch(
        rb"(.*)\n\[([\d,]+) bytes of output left out\]\n(.*)", got, re.S
    ).groups()  # type: ignore[union-attr]
    assert data.startswith(head)
    assert data.endswith(tail)
    assert len(head) + int(missing.replace(b",", b"")) + len(tail) == len(data)
    assert len(head) + len(tail) <= cap
    head.decode()
    tail.decode()


def test_a_flood_is_told_once() -> None:
    told: list[bool] = []
    capture = Capture(100, 1000, lambda stream, data: None, lambda: told.append(True))
    for _ in range(10):
        capture.take("stdout", b"x" * 400)
    assert told == [True]
    assert capture.written == 4000
