"""What comes in pieces is redacted as the whole is, wherever it is cut."""

import pytest

from llmasos.secrets import Redactor

TEXT = """export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
id AKIAIOSFODNN7EXAMPLE and sk-proj-abcdefghijklmnopqrstuvwx_-1234 x
postgres://bob:hunter22@db/x password = "hunter2!x9" token: get_token
the secret is correct horse
  battery staple
-----BEGIN RSA PRIVATE KEY-----
MIIEabc
-----END RSA PRIVATE KEY-----
done PRIVATE_KEY=0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318
Authorization: Bearer abcdef0123456789abcdef
"""
SECRETS = (
    "wJalrXUtnFEMI",
    "AKIAIOSF",
    "sk-proj-abc",
    "hunter2",
    "correct",
    "battery",
    "MIIEabc",
    "4c0883a6",
    "abcdef01",
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 40])
def test_pieces_are_redacted_as_the_whole(size: int) -> None:
    redactor = Redactor(["correct horse battery staple"])
    stream = redactor.stream()
    shown = "".join(stream.feed(TEXT[at : at + size]) for at in range(0, len(TEXT), size)) + stream.close()
    assert shown == redactor.text(TEXT)
    assert not [secret for secret in SECRETS if secret in shown]


def test_two_pieces_are_redacted_as_the_whole_wherever_they_are_cut() -> None:
    redactor = Redactor(["correct horse battery staple"])
    whole = redactor.text(TEXT)
    for at in range(len(TEXT)):
        stream = redactor.stream()
        assert stream.feed(TEXT[:at]) + stream.feed(TEXT[at:]) + stream.close() == whole


def test_little_is_held_back() -> None:
    stream = Redactor(["correct horse battery staple"]).stream()
    assert stream.feed("Reading files.\n") == "Reading files.\n"
    assert stream.feed("Half a wo") == "Half a "
    assert stream.feed("rd and the correct hor") == "word and the "
    assert stream.feed("n. ") == "correct horn. "
    assert stream.close() == ""


def test_a_line_is_shown_whole_though_its_end_might_begin_a_secret() -> None:
    stream = Redactor([f"{letter}9Zq{letter}Lm22Rr9T" for letter in "abcdefghijklmnopqrstuvwxyz"]).stream()
    assert stream.feed("started\n") == "started\n"
    assert stream.feed("45 % read\r") == "45 % read\r"


def test_a_secret_of_one_character_a_line_shows_no_more_than_its_first_three() -> None:
    secret = "x9ZqLm22Rr9T"
    stream = Redactor([secret]).stream()
    pieces = [*(f"{character}\n" for character in secret), "end\n"]
    shown = "".join(stream.feed(piece) for piece in pieces) + stream.close()
    assert "".join(shown.split()).startswith("x9Z[") and "q" not in shown and "22" not in shown


def test_a_secret_without_an_end_is_not_waited_for() -> None:
    stream = Redactor().stream()
    shown = [stream.feed("-----BEGIN PRIVATE KEY-----\n")]
    shown += [stream.feed(f"{'Ab3+' * 16}\n" * 30) for _ in range(30)]
    shown += [stream.feed(" after\n"), stream.close()]
    assert "Ab3+" * 4 not in "".join(shown)
    long = Redactor().stream()
    shown = (
        [long.feed("token=")] + [long.feed("x9ZqLm22Rr9T" * 340) for _ in range(12)] + [long.feed(" after\n")]
    )
    assert "".join(shown).endswith("] after\n")
    assert "x9ZqLm" not in "".join(shown)
