"""The writings of a known secret of which its letters and digits alone tell."""

from __future__ import annotations

import codecs
import quopri
from base64 import a85encode, b32encode, b64encode, b85encode
from collections.abc import Iterator
from urllib.parse import quote

from llmasos.secrets.forms import certain_base64, forms_of

_SHORTEST = 12
_LONGEST_INTEGER = 1024
_NUMBERS = ("0x{:02x}", "{}", "{:03}", "{:o}", "{:03o}", "0o{:o}", "{:b}", "{:08b}", "chr{}", "char{}")
_BASE32_BYTES, _BASE32_BITS = 5, 5
_BASE85_BYTES = 4


def writings_of(secret: str) -> Iterator[str]:
    """Yield how texts may hold a secret, whatever signs stand between the letters; the secret itself first.

    Escapes that stand for single characters are none of them: texts are read without those.
    """
    yield secret
    yield from forms_of(secret)
    if len(secret) < _SHORTEST:
        return
    raw = _raw(secret)
    yield quote(quote(raw, safe=""), safe="")
    yield quopri.encodestring(raw).decode()
    yield from _carried(raw)
    yield from _certain_base32(raw)
    yield from certain_base85(secret)
    yield from _numbers(secret, raw)
    for inner in _inner(secret, raw):
        yield from _carried(_raw(inner))


def shifted(text: str) -> str:
    """Return a text with each letter moved by thirteen, which is its own way back."""
    return codecs.encode(text, "rot13")


def certain_base85(secret: str) -> Iterator[str]:
    """Yield what base85 makes of a secret wherever it stands in others, and Ascii85."""
    raw = _raw(secret)
    if len(raw) < _SHORTEST:
        return
    for encode in (b85encode, a85encode):
        yield encode(raw).decode()
        for first in range(_BASE85_BYTES):
            whole = (len(raw) - first) // _BASE85_BYTES * _BASE85_BYTES
            yield encode(raw[first : first + whole]).decode()


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _carried(raw: bytes) -> Iterator[str]:
    yield raw.hex()
    yield b64encode(raw).decode()
    yield from certain_base64(raw)


def _certain_base32(raw: bytes) -> Iterator[str]:
    yield b32encode(raw).decode()
    for before in range(_BASE32_BYTES):
        encoded = b32encode(bytes(before) + raw).decode()
        first, last = -(-8 * before // _BASE32_BITS), 8 * (before + len(raw)) // _BASE32_BITS
        yield encoded[first:last]


def _numbers(secret: str, raw: bytes) -> Iterator[str]:
    """Yield the numbers of the characters, and the characters with the numbers of their lines."""
    for number in _NUMBERS:
        yield "".join(map(number.format, raw))
    yield "".join(str(ord(char)) for char in secret)
    if len(raw) <= _LONGEST_INTEGER:
        yield str(int.from_bytes(raw))
    for order in ("utf-16-le", "utf-16-be"):
        wide = secret.encode(order, "surrogatepass")
        yield from (wide.hex(), *certain_base64(wide))
    for first in (0, 1):
        yield "".join(f"{line}{char}" for line, char in enumerate(secret, first))


def _inner(secret: str, raw: bytes) -> set[str]:
    """Return what may be encoded once more."""
    return {
        secret[::-1],
        shifted(secret),
        secret.upper(),
        secret.lower(),
        raw.hex(),
        b32encode(raw).decode(),
        "".join(map("%{:02x}".format, raw)),
        " ".join(map(str, raw)),
        *certain_base64(raw),
        b64encode(raw).decode(),
    }
