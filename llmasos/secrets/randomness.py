"""Telling random values from words: made by a machine, or written to be read."""

from __future__ import annotations

import math
import re
from collections import Counter

_SHORTEST = 8
_WORD = re.compile(r"[A-Za-z]+")
_PLAIN = re.compile(
    r"(?:https?|file|ftp|s3|gs)://[^@]*|[./~][\w./~+-]*|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?:[a-z][a-z0-9-]*\.)+[a-z]{2,}(?::\d+)?(?:/[\w./-]*)?|[\d.,:/+-]+|v?\d+(?:\.\d+)+[\w.+-]*",
    re.IGNORECASE,
)
COMMON = frozenset(
    [
        "password",
        "password1",
        "password123",
        "passw0rd",
        "changeme",
        "changeit",
        "required",
        "disabled",
        "optional",
        "undefined",
        "redacted",
        "username",
        "localhost",
        "hostname",
        "database",
        "postgres",
        "postgresql",
        "production",
        "development",
        "testing",
        "staging",
        "example",
        "placeholder",
        "yourpassword",
        "your-password",
        "your_password",
        "secretkey",
        "secret-key",
        "secret_key",
        "your-secret-key",
        "your_secret_key",
        "your-api-key",
        "your_api_key",
        "your-token",
        "your_token",
        "xxxxxxxx",
        "xxxxxxxxxxxx",
        "12345678",
        "123456789",
        "1234567890",
        "00000000",
        "11111111",
        "qwertyui",
        "qwertyuiop",
        "letmein1",
        "iloveyou",
        "administrator",
        "authorization",
        "filesystem",
        "unlimited",
        "default",
        "anonymous",
    ]
)


def entropy(value: str) -> float:
    """Return Shannon's entropy of a text's characters, in bits for each."""
    total = len(value)
    return (
        -sum(count / total * math.log2(count / total) for count in Counter(value).values()) if value else 0.0
    )


def plain(value: str) -> bool:
    """Tell whether a value is too short, too common, or something else than a secret: a path, a link, a number."""
    return (
        len(value) < _SHORTEST
        or value.lower() in COMMON
        or len(set(value)) < 4
        or _PLAIN.fullmatch(value) is not None
    )


def looks_random(value: str) -> bool:
    """Tell whether a value was probably made by a machine, or as a password.

    It has digits and letters, or signs that words do not have, and its characters vary.
    """
    if plain(value) or (value.isalpha() and (value.islower() or value.isupper() or value.istitle())):
        return False
    kinds = sum(any(map(test, value)) for test in (str.isdigit, str.islower, str.isupper, _is_sign))
    if kinds < 2 or entropy(value) < 2.5:
        return False
    # `get_session_token`, `MyTokenProvider`, `process.env.API_KEY` are names.
    words = _WORD.findall(value)
    if not any(map(str.isdigit, value)):
        named = re.fullmatch(r"[A-Za-z_$][A-Za-z]*(?:[._:/-]+[A-Za-z]+)*", value)
        camel = re.fullmatch(r"[A-Za-z][a-z]*(?:[A-Z][a-z]+)*[A-Z]?", value)
        return named is None and camel is None and len(words) > 0
    return True


def _is_sign(char: str) -> bool:
    return not char.isalnum() and char not in "._-/:"
