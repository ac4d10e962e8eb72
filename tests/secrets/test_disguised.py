"""Known secrets are found in other writings, quickly, and ordinary text stays as it is."""

from __future__ import annotations

import base64
import codecs
import itertools
import random
import re
import string
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.secrets import Redactor
from tests.secrets.written import wrapped

SECRET = "hunter2-Blue!Horse77"
ROOT = Path(__file__).parents[2]
FULL = {code: code + 0xFEE0 for code in range(33, 127)}


def numbers(form: str, between: str = " ") -> Callable[[str], str]:
    return lambda text: between.join(format(byte, form) for byte in text.encode())


def mixed(text: str) -> str:
    ways = (str, "\\x{:02x}", "%{:02X}", "\\u{:04x}", "&#{};", "\\{:03o}", "&#x{:x};", "\\u{{{:x}}}")
    return "".join(
        char if at % 9 == 0 else str(ways[at % 9 % 7 + 1]).format(ord(char)) for at, char in enumerate(text)
    )


def encoded(encode: Callable[[bytes], bytes]) -> Callable[[str], str]:
    return lambda text: encode(text.encode()).decode()


WAYS: dict[str, Callable[[str], str]] = {
    "backwards": lambda text: text[::-1],
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "upper": str.upper,
    "lower": str.lower,
    "base32": encoded(base64.b32encode),
    "base32 within": lambda text: base64.b32encode(f"a: {text} or".encode()).decode(),
    "base64": encoded(base64.b64encode),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 twice within": lambda text: base64.b64encode(
        b"_" + base64.b64encode(f"a {text}".encode())
    ).decode(),
    "base64 of a line": lambda text: base64.b64encode(f"{text}\n".encode()).decode(),
    "base64 of base32": lambda text: base64.b64encode(base64.b32encode(text.encode())).decode(),
    "base64 of hex": lambda text: base64.b64encode(text.encode().hex().encode()).decode(),
    "base64 backwards": lambda text: base64.b64encode(text.encode()).decode()[::-1],
    "backwards in base64": lambda text: base64.b64encode(text[::-1].encode()).decode(),
    "base64 of wide ones": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base85": encoded(base64.b85encode),
    "base85 within": lambda text: base64.b85encode(f"a: {text} or".encode()).decode(),
    "ascii85": encoded(base64.a85encode),
    "hex": lambda text: text.encode().hex(),
    "hex by four": lambda text: text.encode().hex(" ", 2),
    "hex with colons": lambda text: text.encode().hex(":"),
    "hex as hosts": lambda text: wrapped(text.encode().hex(), 30).replace("\n", ".") + ".example.org",
    "base32 as hosts": lambda text: wrapped(
        base64.b32encode(text.encode()).decode().rstrip("=").lower(), 20
    ).replace("\n", "."),
    "list of hex": numbers("#04x", ", "),
    "wide hex": lambda text: text.encode("utf-16-le").hex(),
    "decimal": numbers("d"),
    "decimal list": numbers("d", ", "),
    "decimal, three digits": numbers("03d", ""),
    "characters": lambda text: "+".join(f"chr({byte})" for byte in text.encode()),
    "octal": numbers("03o"),
    "list of octal": numbers("#o", ", "),
    "bits": numbers("08b"),
    "integer": lambda text: str(int.from_bytes(text.encode())),
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: "".join(f"%25{byte:02x}" for byte in text.encode()),
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""),
    "unicode": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "unicode in JSON": lambda text: "".join(f"\\\\u{ord(char):04x}" for char in text),
    "bytes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "octal escapes": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "html": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "html hex": lambda text: "".join(f"&#x{ord(char):x};" for char in text),
    "html twice": lambda text: "".join(f"&amp;#{ord(char)};" for char in text),
    "mixed": mixed,
    "mail": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
    "commas": ",".join,
    "dots": ".".join,
    "dashes": "-".join,
    "dashes, spaced": " - ".join,
    "list": lambda text: repr(list(text)),
    "lines": "\n".join,
    "breaks": lambda text: wrapped(text, 7).replace("\n", "\\n    "),
    "numbered": lambda text: "\n".join(f"{at}: {char}" for at, char in enumerate(text)),
    "no width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "full width": lambda text: text.translate(FULL),
    "coloured": "\x1b[1m".join,
    "halves": lambda text: f"{text[: len(text) // 2]} | {text[len(text) // 2 :]}",
}
LETTERS = string.ascii_letters + string.digits
TOKENS = st.integers(0, 2**32).map(
    lambda seed: "".join(random.Random(seed).choices(LETTERS + "-_!", k=6 + seed % 40)) + "x7Qz4b"
)
AROUND = st.text(st.sampled_from(" \n\t:;,.()[]{}<>|ghkl"), max_size=40)
MARKER = re.compile(r"\[redacted:known-secret:[0-9a-f]{6}\]")
# What stands around a secret in an encoding is shown, and the characters that hold a part of it.
MOST_LEFT = 18


def left(written: str, shown: str, before: str, after: str) -> int:
    """Return how many characters of a writing are shown where a marker stands in it."""
    assert MARKER.search(shown)
    assert shown.startswith(before) and shown.endswith(after)
    return len(MARKER.sub("", shown)) - len(before) - len(after)


@settings(max_examples=400, deadline=None)
@given(way=st.sampled_from(sorted(WAYS)), secret=TOKENS, before=AROUND, after=AROUND)
def test_a_writing_of_any_secret_is_taken_out_of_any_text_and_nothing_else(
    way: str, secret: str, before: str, after: str
) -> None:
    written, before, after = WAYS[way](secret), f"{before} ", f" {after}"
    shown = Redactor([secret]).text(f"{before}{written}{after}")
    assert left(written, shown, before, after) <= MOST_LEFT


@settings(max_examples=400, deadline=None)
@given(
    way=st.sampled_from(sorted(WAYS)),
    secret=TOKENS,
    before=AROUND,
    after=AROUND,
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_a_stream_shows_no_more_than_how_a_secret_begins(
    way: str, secret: str, before: str, after: str, cuts: list[int]
) -> None:
    written, before, after = WAYS[way](secret), f"{before} ", f" {after}\n"
    text, stream = f"{before}{written}{after}", Redactor([secret]).stream()
    pieces = [text[start:end] for start, end in cut(len(text), cuts)]
    shown = "".join(map(stream.feed, pieces)) + stream.close()
    # Up to four letters are shown of what might be one, by whatever they are written.
    assert left(written, shown, before, after) <= MOST_LEFT + 5 * -(-len(written) // len(secret))


def cut(length: int, cuts: list[int]) -> Iterator[tuple[int, int]]:
    places = sorted({0, length, *(at for at in cuts if at < length)})
    yield from itertools.pairwise(places)


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_in_another_writing_is_taken_out_whole_or_in_pieces(way: str) -> None:
    redactor, written = Redactor([SECRET]), WAYS[way](SECRET)
    text = f"see: {written}\nand more\n"
    assert left(written, redactor.text(text), "see: ", "\nand more\n") <= MOST_LEFT
    for size in (1, 3, 10):
        stream = redactor.stream()
        pieces = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
        shown = "".join([*pieces, stream.close()])
        most = MOST_LEFT + 5 * -(-len(written) // len(SECRET))
        assert left(written, shown, "see: ", "\nand more\n") <= most


def test_ordinary_text_stays_as_it_is() -> None:
    shuffle = random.Random(7)
    words = sorted({word for path in (ROOT / "llmasos").rglob("*.py") for word in path.read_text().split()})
    plain = [word for word in words if word.isalpha()]
    values = ["".join(shuffle.choices(LETTERS, k=8)) for _ in range(100)]
    values += ["".join(shuffle.choices(LETTERS, k=24)) for _ in range(100)]
    values += ["_".join(shuffle.choices(plain, k=2)) + "9!" for _ in range(100)]
    redactor = Redactor(values)
    library = Path(sysconfig.get_path("stdlib"))
    for path in [*sorted((ROOT / "llmasos" / "secrets").rglob("*.py")), *sorted(library.glob("[a-e]*.py"))]:
        assert not [one for one in redactor.found(path.read_text()) if one.kind == "known-secret"]


def test_words_in_other_places_are_no_copies_of_a_value_made_of_them() -> None:
    redactor = Redactor(["the-secret-word", "MyAppName", "open_sesame"])
    for text in ("the secret word", "my.app.name", "Open sesame! open-sesame", "emases nepo", "bcra frfnzr"):
        assert redactor.text(text) == text
    for text in (
        "THE-SECRET-WORD",
        "o.p.e.n._.s.e.s.a.m.e",
        "emases_nepo",
        "bcra_frfnzr",
        "the-secr | et-word",
    ):
        assert MARKER.search(redactor.text(text))


def test_secrets_with_few_letters_are_found_as_they_are_and_encoded() -> None:
    for secret in ("пароль-секрет-99", "!!--??##$$%%^^&&"):
        for written in (secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
            assert MARKER.search(Redactor([secret]).text(f"see {written} there"))


LONG: dict[str, Callable[[int], str]] = {
    "one word": lambda size: "Ab3+" * (size // 4),
    "letters of a secret": lambda size: (SECRET[:-1] + "x") * (size // len(SECRET)),
    "beginnings of numbers": lambda size: base64.b64encode(SECRET[:9].encode() * (size // 12)).decode(),
    "percent": lambda size: "%41" * (size // 3),
    "percent of percent": lambda size: "%25" * (size // 3),
    "backslashes": lambda size: "\\" * size,
    "ampersands": lambda size: "&amp;" * (size // 5),
    "spaces": lambda size: " " * size,
    "escapes of terminals": lambda size: "\x1b[" * (size // 2),
    "invisible": lambda size: "a\u200b" * (size // 2),
    "apart": lambda size: "h-u-n-t-e-r-" * (size // 12),
}


@pytest.mark.parametrize("kind", LONG)
def test_the_time_is_linear_in_the_length(kind: str) -> None:
    redactor = Redactor([SECRET, "A" * 15 + "q7", "hunter22-hunter23"])
    times = []
    for size in (100_000, 400_000):
        text = LONG[kind](size)
        start = process_time()
        list(redactor._known(text))
        times.append(process_time() - start)
    assert times[1] < 8 * times[0] + 0.1


def test_what_is_remembered_is_bounded_by_its_characters() -> None:
    redactor = Redactor([SECRET])
    for number in range(30):
        redactor.text(f"{number} " * 100_000)
    assert sum(map(len, redactor._done)) <= 4_000_000
