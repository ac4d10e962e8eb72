"""Amounts and lists of names in a line."""

from llmasos.amounts import size, some


def test_bytes_have_their_largest_unit() -> None:
    assert (size(12), size(2500), size(3_000_000)) == ("12 bytes", "2.5 kB", "3.0 MB")
    assert size(4_200_000_000) == "4.2 GB"


def test_the_first_names_stand_for_many_and_none_acts_on_the_terminal() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert "\x1b" not in some(["\x1b[31ma"])
