"""Tokens, as the lengths of texts tell them."""

import pytest

from llmasos.models.engines.port import ContextExceeded
from llmasos.models.tokens import check_fits, fewest_tokens, likely_tokens, most_tokens


def test_digits_are_a_token_each_and_other_text_is_a_third_of_its_bytes() -> None:
    assert most_tokens("") == 6
    assert most_tokens("1234567890") == 16
    assert most_tokens("abcdef12") == 10
    assert most_tokens("中文") == 8
    assert most_tokens("\ud800") == 6


def test_the_least_the_likely_and_the_most_stand_in_their_order() -> None:
    for text in ("a" * 1000, "1" * 1000, "中" * 1000, " " * 1000):
        assert fewest_tokens([text]) < likely_tokens([text]) < most_tokens(text)


def test_only_what_surely_does_not_fit_is_refused() -> None:
    check_fits("m", 10, ["a" * 1000, "b" * 407])
    with pytest.raises(ContextExceeded, match="1,408 characters are too long for m, which keeps 10 tokens"):
        check_fits("m", 10, ["a" * 1000, "b" * 408])
