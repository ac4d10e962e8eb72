"""Stop texts, whatever the tokens are."""

from hypothesis import given
from hypothesis import strategies as st

from llmasos.models.engines.pieces import Piece, Pieces
from llmasos.models.engines.port import TokenUsage

TEXT = st.text("ab", max_size=3)


@given(st.lists(TEXT, max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_the_output_ends_before_the_first_stop_text(texts: list[str], stops: list[str]) -> None:
    pieces = Pieces(tuple(stops))
    chunks, read = [], 0
    for number, text in enumerate(texts):
        read = number + 1
        chunk = pieces.add(Piece(text, (number,)))
        if chunk is not None:
            # Tokens come with exactly their text, or a stopped reply could not go on.
            assert chunk.text == "".join(texts[token] for token in chunk.tokens)
            chunks.append(chunk)
        if pieces.stopped():
            break
    chunks.append(pieces.end("stop" if pieces.stopped() else "length", TokenUsage()))
    whole = "".join(texts[:read])
    expected = whole[: min((whole.index(stop) for stop in stops if stop in whole), default=None)]
    assert "".join(chunk.text for chunk in chunks) == expected
    tokens = [token for chunk in chunks for token in chunk.tokens]
    assert tokens == list(range(len(tokens)))


def test_text_is_held_back_no_longer_than_it_may_begin_a_stop_text() -> None:
    pieces = Pieces(("END",))
    assert pieces.add(Piece("one E", (1,))) is None
    released = pieces.add(Piece("lse", (2,)))
    assert released is not None
    assert (released.text, released.tokens) == ("one Else", (1, 2))


def test_the_token_that_ends_a_reply_is_not_part_of_it() -> None:
    pieces = Pieces(())
    assert pieces.add(Piece("", (0,))) is None
    assert pieces.end("stop", TokenUsage()).tokens == ()
