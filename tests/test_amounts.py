"""Amounts and lists of names in a line."""

from llmasos.amounts import nearest, size, some


def test_bytes_have_their_largest_unit() -> None:
    assert (size(12), size(2500), size(3_000_000)) == ("12 bytes", "2.5 kB", "3.0 MB")
    assert size(4_200_000_000) == "4.2 GB"


def test_what_was_meant_is_guessed() -> None:
    known = ["Qwen2.5-7B", "qwen2.5-coder-1.5b", "llama-3", "keys"]
    assert nearest("qwen2.5-7", known)[0] == "Qwen2.5-7B"
    assert nearest("coder", known) == ["qwen2.5-coder-1.5b"]
    assert nearest("kesy", known) == ["keys"]
    assert nearest("nope", known) == []


def test_the_first_names_stand_for_many_and_none_acts_on_the_terminal() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert "\x1b" not in some(["\x1b[31ma"])
