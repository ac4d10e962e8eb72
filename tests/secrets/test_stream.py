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


@pytest.mark.parametrize("size", range(1, 40))
def test_pieces_are_redacted_as_the_whole(size: int) -> None:
    redactor = Redactor(["correct horse battery staple"])
    stream = redactor.stream()
    shown = "".join(stream.feed(TEXT[at : at + size]) for at in range(0, len(TEXT), size)) + stream.close()
    assert shown == redactor.text(TEXT)
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("at", range(len(TEXT)))
def test_two_pieces_are_redacted_as_the_whole(at: int) -> None:
    redactor = Redactor(["correct horse battery staple"])
    stream = redactor.stream()
    shown = stream.feed(TEXT[:at]) + stream.feed(TEXT[at:]) + stream.close()
    assert shown == redactor.text(TEXT)
