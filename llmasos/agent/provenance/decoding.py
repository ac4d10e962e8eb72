"""Texts that lie encoded in a text, or split over the literals of code."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

_DEPTH = 3
_LONGEST_UNPACKED = 100_000
_LONGEST_TIED = 400
_BREAK = r"(?:[ \t]*\\?\r?\n[ \t>#*\"']*)"
_BASE64 = re.compile(
    rf"(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/_-]{{8}})[A-Za-z0-9+/_-]+(?:{_BREAK}[A-Za-z0-9+/_-]{{12,}})*"
    rf"(?:{_BREAK}[A-Za-z0-9+/_-]{{4,}})?={{0,2}}"
)
_HEX = re.compile(r"[0-9a-fA-F]{2}(?<![0-9A-Za-wyz]..)(?:(?:[\s:,;-]{1,3}(?:0x)?)?[0-9a-fA-F]{2}){4,}")
_BASE32 = re.compile(r"[A-Z2-7]{12,}={0,6}")
_CODES = re.compile(r"\d{2,3}(?:[^\w\n]{1,3}(?:(?:chr|char|Char)\()?\d{2,3}){4,}")
_BITS = re.compile(r"[01]{8}(?:[\s,]*[01]{8}){3,}")
_ESCAPED = re.compile(
    r"%[0-9a-fA-F]{2}|&#?\w{2,31};|\\[nrt](?=\w)|\\x[0-9a-fA-F]{2}|\\u\{?[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}"
    r"|\\[0-7]{3}|=[0-9A-F]{2}"
)
_BLANK = re.compile(r"\\[nrt]")
_PAIR = r"(?:\\x|=|%)([0-9a-fA-F]{2})|\\([0-3][0-7]{2})"
_PAIRS = re.compile(rf"(?:{_PAIR})+")
_CODE_POINT = re.compile(
    r"\\u\{([0-9a-fA-F]{1,6})\}|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|%u([0-9a-fA-F]{4})"
)
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_SHORTEST_RUN = 5
_RUN = re.compile(rf"[^\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]{{{_SHORTEST_RUN},}}")
_ROT13 = codecs.getencoder("rot13")


def decodings(text: str, depth: int = _DEPTH) -> Iterator[str]:
    """Give what lies encoded in a text, all of one kind as one text, and what lies encoded in that.

    Base64, base32, hex, bits and numbers of characters, also packed with zlib; the escapes of links, HTML,
    mail and program code; and what hides in characters that nobody sees.
    """
    if not depth:
        return
    for decode in _DECODERS:
        found = "\n".join(dict.fromkeys(decode(text)))[: len(text) + _LONGEST_UNPACKED]
        if found and found != text:
            yield found
            yield from decodings(found, depth - 1)


def disguises(text: str) -> Iterator[str]:
    """Give a text as it reads backwards, and shifted by thirteen letters; both are their own way back."""
    yield text[::-1]
    yield str(_ROT13(text)[0])


def _readable(data: bytes) -> str:
    """Return what can be read of bytes, for a word beside them may have been taken for a part of them."""
    if data[:1] in (b"\x1f", b"\x78"):
        with suppress(zlib.error):
            data = zlib.decompressobj(47).decompress(data, _LONGEST_UNPACKED)
    if data.count(0) * 3 > len(data):
        data = data.replace(b"\0", b"")
    text = data.decode("utf-8", "replace")
    return text if len(text) < _SHORTEST_RUN and text.isprintable() else "\n".join(_RUN.findall(text))


def _base64(text: str) -> Iterator[str]:
    for match in _BASE64.finditer(text):
        run = match[0]
        if run in (run.lower(), run.upper()):
            continue
        lines = re.findall(r"[A-Za-z0-9+/_-]+", run)
        # Words may stand on the lines around it, or be tied to it by one of the signs of the alphabet.
        pieces = {"".join(lines), "".join(lines[1:]), "".join(lines[:-1]), "".join(lines[1:-1]), *lines}
        if len(run) < _LONGEST_TIED:
            pieces.update(re.split(r"[+/_-]", run))
        for piece in pieces:
            if len(piece) < 8:
                continue
            piece = piece[: len(piece) - (len(piece) % 4 == 1)].replace("-", "+").replace("_", "/")
            try:
                data = base64.b64decode(piece + "=" * (-len(piece) % 4))
            except (binascii.Error, ValueError):
                continue
            if found := _readable(data):
                yield found


def _base32(text: str) -> Iterator[str]:
    for match in _BASE32.finditer(text):
        piece = match[0].rstrip("=")
        try:
            data = base64.b32decode(piece + "=" * (-len(piece) % 8))
        except (binascii.Error, ValueError):
            continue
        if found := _readable(data):
            yield found


def _hex(text: str) -> Iterator[str]:
    for match in _HEX.finditer(text):
        digits = re.sub(r"0x|[^0-9a-fA-F]", "", match[0])
        if found := _readable(bytes.fromhex(digits[: len(digits) // 2 * 2])):
            yield found


def _codes(text: str) -> Iterator[str]:
    for match in _CODES.finditer(text):
        numbers = [int(number) for number in re.findall(r"\d+", match[0])]
        if all(number < 256 for number in numbers) and (found := _readable(bytes(numbers))):
            yield found


def _bits(text: str) -> Iterator[str]:
    for match in _BITS.finditer(text):
        bits = re.sub(r"[^01]", "", match[0])
        if found := _readable(int(bits, 2).to_bytes(len(bits) // 8)):
            yield found


def _escapes(text: str) -> Iterator[str]:
    if not _ESCAPED.search(text):
        return
    lines = "\n".join(line for line in text.splitlines() if _ESCAPED.search(line))
    found = _CODE_POINT.sub(_code_point, html.unescape(_BLANK.sub(" ", lines)))
    # Characters beyond the first plane are written as two halves.
    found = found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    yield _PAIRS.sub(_pairs, found)


def _pairs(match: re.Match[str]) -> str:
    codes = ((hexadecimal, octal) for hexadecimal, octal in re.findall(_PAIR, match[0]))
    data = bytes(int(octal, 8) if octal else int(hexadecimal, 16) for hexadecimal, octal in codes)
    return data.decode("utf-8", "replace")


def _code_point(match: re.Match[str]) -> str:
    code = int(next(filter(None, match.groups())), 16)
    return chr(code) if code < 0x110000 else match[0]


def _hidden(text: str) -> Iterator[str]:
    if text.isascii():
        return
    if tags := _TAGS.findall(text):
        yield "".join(chr(ord(char) - 0xE0000) for char in "".join(tags))
    for match in _SELECTORS.finditer(text):
        codes = [ord(char) for char in match[0]]
        data = bytes(code - 0xFE00 if code < 0x10000 else code - 0xE0100 + 16 for code in codes)
        if found := _readable(data):
            yield found


_DECODERS: tuple[Callable[[str], Iterator[str]], ...] = (
    _base64,
    _base32,
    _hex,
    _codes,
    _bits,
    _escapes,
    _hidden,
)
