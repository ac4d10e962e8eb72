"""Secrets of every kind, and the ways in which texts hold them."""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

from llmasos.secrets.randomness import COMMON

SIGNS = st.characters(
    codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="\\"
)
SECRETS = st.text(SIGNS, min_size=10).filter(lambda text: text.lower() not in COMMON and len(set(text)) > 4)
AROUND = st.text(st.sampled_from("ab xyz=:,.'\"\n\t{}()[]<>&%$\\/é-_0189"), max_size=40)


def wrapped(text: str, width: int) -> str:
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "json": lambda text: json.dumps({"a": text}),
    "json in json": lambda text: json.dumps(json.dumps([text])),
    "unescaped json": lambda text: json.dumps(text, ensure_ascii=False),
    "link": lambda text: f"https://example.org/?q={quote(text, safe='')}",
    "form": lambda text: f"q={quote_plus(text)}&b=1",
    "html": html.escape,
    "repr": repr,
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 within": lambda text: base64.b64encode(f"user:{text}\nmore".encode()).decode(),
    "base64 within, later": lambda text: base64.b64encode(f"a=1; {text} b".encode()).decode(),
    "url-safe base64": lambda text: base64.urlsafe_b64encode(f"ab{text}".encode()).decode(),
    "wrapped": lambda text: wrapped(text, 7),
    "quoted mail": lambda text: wrapped(text, 6).replace("\n", "\r\n> "),
    "wrapped base64": lambda text: base64.encodebytes(text.encode() * 9).decode(),
    "spaced": lambda text: " ".join(text),
}


def leaks(secret: str, written: str, shown: str) -> bool:
    """Tell whether what is shown still holds the secret as it was written, or the core of it."""
    core = flat(written)
    return secret in shown or (len(core) > 12 and core[4:-4] in flat(shown))


@functools.lru_cache
def flat(text: str) -> str:
    """Return a text without what lies between the lines of one that was wrapped."""
    return re.sub(r"[\s>]", "", text)
