"""Stop texts and thoughts, however the text was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.models.chat.text import Stops, Thoughts


def stopped(pieces: list[str], *stops: str) -> tuple[str, bool]:
    text = Stops(stops)
    given = "".join(text.feed(piece) for piece in pieces) + text.end()
    return given, text.hit


@given(st.text("abc", max_size=20), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
def test_a_text_ends_before_the_first_stop(text: str, stops: list[str]) -> None:
    places = [at for stop in stops if (at := text.find(stop)) >= 0]
    given_, hit = stopped(list(text), *stops)
    assert hit == bool(places)
    if hit:
        # Read character by character, the stop that is whole first is the one that counts.
        end = min(text.find(stop) + len(stop) for stop in stops if stop in text)
        assert given_ == text[: min(text.find(s) for s in stops if s in text[:end])]
    else:
        assert given_ == text


def thought(text: str, *, inside: bool = False) -> str:
    reader = Thoughts(("<think>", "</think>"), inside=inside)
    return "".join(map(reader.feed, text)) + reader.end()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<think>\na < b\n</think>\n\nhello <think>", "hello <think>"),
        ("\n<think></think>hi", "hi"),
        ("hello", "hello"),
        ("<thing>", "<thing>"),
        ("<think>never ends", ""),
        ("<thi", "<thi"),
    ],
)
def test_thoughts_are_left_out(text: str, seen: str) -> None:
    assert thought(text) == seen


def test_a_thought_that_the_prompt_began_is_left_out() -> None:
    assert thought("so</think>\nhi", inside=True) == "hi"


def test_models_that_do_not_think_are_given_whole() -> None:
    reader = Thoughts(None)
    assert reader.feed(" <think>x") + reader.end() == " <think>x"
