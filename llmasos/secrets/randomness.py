"""Telling random values from words: made by a machine, or written to be read."""

from __future__ import annotations

import math
import re
from collections import Counter

_SHORTEST = 8
_LEAST_BITS = 2.5
_SHORTEST_TOKEN = 20
_TOKEN_BITS = 3.0
_BETWEEN = re.compile(r"[._:/@+~|\-]+")
_WORD = re.compile(r"(?:[A-Za-z][a-z]*(?:[A-Z][a-z]+)*[A-Z]{0,3}|[A-Z]+)[0-9]{0,2}|[0-9]{0,5}")
_PLAIN = re.compile(
    r"(?:https?|file|ftp|s3|gs)://[^@]*|[./~][\w./~+-]*|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?:[a-z][a-z0-9-]*\.)+[a-z]{2,}(?::\d+)?(?:/[\w./-]*)?|[\d.,:/+-]+|v?\d+(?:\.\d+)+[\w.+-]*",
    re.IGNORECASE,
)
_COMMON = """
    password password1 password123 passw0rd changeme changeit required disabled optional undefined redacted
    username localhost hostname database postgres postgresql production development testing staging example
    placeholder yourpassword your-password your_password secretkey secret-key secret_key your-secret-key
    your_secret_key your-api-key your_api_key your-token your_token xxxxxxxx xxxxxxxxxxxx 12345678 123456789
    1234567890 00000000 11111111 qwertyui qwertyuiop letmein1 iloveyou administrator authorization filesystem
    unlimited default anonymous
"""
COMMON = frozenset(_COMMON.split())
"""Words that are no secrets even where a secret belongs."""


def entropy(value: str) -> float:
    """Return Shannon's entropy of a text's characters, in bits for each."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)


def plain(value: str) -> bool:
    """Tell whether a value is no secret: short, common, or a path, a link, an address, a number."""
    return (
        len(value) < _SHORTEST
        or value.lower() in COMMON
        or len(set(value)) < 4
        or _PLAIN.fullmatch(value) is not None
    )


def token_like(value: str) -> bool:
    """Tell whether a value can hardly be anything but a token, even where nothing says so."""
    if len(value) < _SHORTEST_TOKEN or plain(value) or any(map(str.isspace, value)):
        return False
    parts = [part for part in _BETWEEN.split(value) if len(part) >= _SHORTEST_TOKEN]
    return any(_WORD.fullmatch(part) is None and entropy(part) >= _TOKEN_BITS for part in parts)


def looks_random(value: str) -> bool:
    """Tell whether a value was probably made by a machine or as a password.

    Its characters vary, and it is not built of words, as `get_session_token` and `MyTokenProvider` are.
    """
    if plain(value) or entropy(value) < _LEAST_BITS:
        return False
    parts = _BETWEEN.split(value)
    if len(parts) == 1 and any(map(str.isdigit, value)):
        return not value.isdigit()
    return not all(map(_WORD.fullmatch, parts))
