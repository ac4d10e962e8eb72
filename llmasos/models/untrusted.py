"""JSON from elsewhere: of models, endpoints, hubs, files and other programs."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

_FEW = 100
_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def read_json(text: str | bytes) -> Any:
    """Return what JSON says; control characters may stand in its texts, as models write them.

    Python's own reader ends the process on deep nesting where the limit of recursion was raised, as some
    Ethereum libraries do. So it reads only what cannot be nested deeply.

    Raises:
        ValueError: It is no JSON, or nested too deeply.
    """
    try:
        return from_json(text)
    except ValueError:
        brackets = ("[", "{") if isinstance(text, str) else (b"[", b"{")
        if sum(map(text.count, brackets)) > _FEW:  # type: ignore[arg-type]
            raise
        found = json.loads(text, strict=False)
        # Half a character, which JSON can spell, is none that anything after this could take.
        json.dumps(found, ensure_ascii=False).encode()
        return found


def check_depth(text: str, at: int) -> None:
    """Return when the JSON value that begins somewhere in a text is not nested deeply, whatever follows it.

    Raises:
        ValueError: Python's own reader might end the process.
    """
    if text[at : at + 1] not in ("[", "{"):
        return
    depth = 0
    for mark in _MARKS.finditer(text, at):
        if mark[0] in ("[", "{"):
            depth += 1
        elif mark[0] in ("]", "}"):
            depth -= 1
        if depth <= 0:
            return
        if depth > _FEW:
            raise ValueError("it is nested too deeply")
