"""Text of a reply, as its tokens come."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.models.engines.port import Chunk
from llmasos.models.engines.transformers.text import ReplyText


def _data(token: int) -> bytes:
    return bytes([token])


def _run(data: bytes, stop: Sequence[str] = (), kept: bytes = b"") -> tuple[list[Chunk], ReplyText]:
    text = ReplyText(_data, stop, kept=kept)
    chunks: list[Chunk] = []
    for token in data:
        if chunk := text.push(token):
            chunks.append(chunk)
        if text.stopped:
            return chunks, text
    if rest := text.flush():
        chunks.append(rest)
    return chunks, text


@given(st.binary(max_size=40))
def test_all_bytes_become_the_text_that_python_makes_of_them(data: bytes) -> None:
    chunks, _ = _run(data)
    assert "".join(chunk.text for chunk in chunks) == data.decode("utf-8", "replace")
    assert [token for chunk in chunks for token in chunk.tokens] == list(data)


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_the_text_ends_before_the_first_stop_text(text: str, stop: list[str]) -> None:
    chunks, reply = _run(text.encode(), stop)
    out = "".join(chunk.text for chunk in chunks)
    ends = [end for end in range(1, len(text) + 1) if any(text[:end].endswith(s) for s in stop)]
    if not ends:
        assert (out, reply.stopped) == (text, False)
        return
    # What ends first ends the reply; of several that end there the longest.
    seen = text[: ends[0]]
    assert reply.stopped
    assert out == seen[: min(seen.find(s) for s in stop if s in seen)]


@given(st.text("abé€😀", max_size=20), st.integers(0, 60))
def test_tokens_come_with_their_own_text_so_that_a_reply_can_go_on_after_any_chunk(
    text: str, cut: int
) -> None:
    data = text.encode()
    chunks, _ = _run(data, ("ab€",))
    for place, chunk in enumerate(chunks[:-1] if "ab€" in text else chunks):
        assert bytes(chunk.tokens).decode() == chunk.text
        kept = b"".join(bytes(earlier.tokens) for earlier in chunks[: place + 1])
        again, _ = _run(data[len(kept) :], ("ab€",), kept)
        assert [later.text for later in again] == [later.text for later in chunks[place + 1 :]]


def test_what_may_begin_a_stop_text_waits() -> None:
    text = ReplyText(_data, ("END",))
    assert [bool(text.push(ord(letter))) for letter in "aEN"] == [True, False, False]
    assert text.push(ord("x")) == Chunk(text="ENx", tokens=(69, 78, 120))


@pytest.mark.parametrize("kept", [b"", b"\xe2\x82"])
def test_half_a_character_waits(kept: bytes) -> None:
    text = ReplyText(_data, kept=kept)
    rest = "€".encode()[len(kept) :]
    chunks = [text.push(token) for token in rest]
    assert chunks[:-1] == [None] * (len(rest) - 1)
    assert chunks[-1] == Chunk(text="€", tokens=tuple(rest))


def test_one_leading_space_is_dropped_where_the_vocabulary_marks_words_by_it() -> None:
    text = ReplyText(_data, strip=True)
    assert [chunk.text for token in b"  a" if (chunk := text.push(token))] == ["", " ", "a"]
