"""Front matter: lines of `key: value` between two lines of `---`, which is a part of YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_FENCE = "---"
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):(?:[ \t]+(.*?))?[ \t]*")


def split_front(text: str) -> tuple[Mapping[str, str], str]:
    """Return the front matter of a text, and what follows it.

    Args:
        text: The whole text, with newlines as line ends.

    Raises:
        ValueError: A line of it cannot be read; the message says which, and why.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return {}, text
    values: dict[str, str] = {}
    for number, line in enumerate(lines[1:], 2):
        if line.rstrip() == _FENCE:
            return values, "\n".join(lines[number:])
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number} is not `key: value`")
        key, value = found[1], found[2] or ""
        if key in values:
            raise ValueError(f"line {number} gives {key} a second time")
        values[key] = _value(value, number)
    raise ValueError(f"the front matter has no end: a line of `{_FENCE}`")


def _value(value: str, number: int) -> str:
    if value[:1] == '"':
        try:
            read = json.loads(value)
        except ValueError:
            read = None
        if not isinstance(read, str):
            raise ValueError(f"line {number} has a quote that is not closed, or more behind it")
        return read
    if value[:1] == "'":
        if len(value) < 2 or value[-1] != "'" or "'" in value[1:-1].replace("''", ""):
            raise ValueError(f"line {number} has a quote that is not closed, or more behind it")
        return value[1:-1].replace("''", "'")
    if re.fullmatch(r"[|>][+-]?\d?", value):
        raise ValueError(f"line {number} begins a text of several lines; each value has one line here")
    return value
