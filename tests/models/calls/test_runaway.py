"""Runaway text."""

import random

import pytest

from llmasos.models.calls.runaway import WINDOW, runs_away

CODE = "def f(x):\n" + "\n".join(f"{' ' * 40}if x == {number}:\n{' ' * 44}return 0" for number in range(9))


@pytest.mark.parametrize(
    "text",
    [
        "and again " * 12,
        "x" * 60,
        "ab" * 60,
        " \n" + " " * 200,
        "\n" * 200,
        "so: " + "统计每个文件的行数。" * 12,
        "| 0 " * 60,
        "0, " * 60,
        "a phrase of eighty characters, which is as long as they may be to be found here. "[:80] * 12,
    ],
)
def test_the_same_over_and_over_is_noticed(text: str) -> None:
    assert runs_away(text)
    assert not runs_away(f"{text}!")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "x" * 59,
        "and again " * 11,
        " " * 199,
        " \n" * 60,
        "-" * 59 + "\n",
        CODE,
        "0, " * 59,
        "-" * 59,
    ],
)
def test_texts_as_people_write_them_are_none(text: str) -> None:
    assert not runs_away(text)


def test_short_phrases_may_come_more_often_than_long_ones() -> None:
    pick = random.Random(1)
    for _ in range(500):
        # With its only x at the beginning, a phrase is not made of shorter ones.
        phrase = "x" + "".join(pick.choice("ab ") for _ in range(pick.randint(0, 12)))
        times = pick.randint(1, 70)
        expected = times >= (60 if len(phrase) <= 7 else 12)
        assert runs_away(("b" + phrase * times)[-WINDOW:]) == expected, phrase
