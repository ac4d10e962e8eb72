"""Values of arguments: the texts in them, what was changed in them, and the hosts that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from llmasos.tools import Tool

# Those that stand for bytes which are no UTF-8 are left to `surrogateescape`.
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def well_formed(text: str) -> str:
    """Return a text that every encoding holds: surrogates, which stand for no character, are spelled out."""
    text = _LONE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def changed_lines(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of new arguments that the old ones do not have, each argument's together."""
    for name, value in new.items():
        before = {line for text in texts(old.get(name)) for line in text.splitlines()}
        for text in texts(value):
            if lines := [line for line in text.splitlines() if line not in before]:
                yield "\n".join(lines)


def texts(value: object) -> Iterator[str]:
    """Give every text in a value that is not empty; numbers as they are written."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from texts(item)
    elif value is not None and not isinstance(value, bool) and (text := str(value)):
        yield text


def root(argument: str) -> str:
    """Return the argument inside which a place such as `recipients.0` lies."""
    return argument.partition(".")[0]


def hosts_of(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hosts that a tool declares, and those of the links that it is told to reach."""
    links = [text for name in tool.capabilities.reaches for text in texts(arguments.get(name))]
    return tuple(dict.fromkeys((*tool.capabilities.network, *filter(None, map(_host, links)))))


def _host(link: str) -> str:
    """Return the host of a link; empty for what is none, such as an address of mail."""
    try:
        return urlsplit(link).hostname or ""
    except ValueError:
        # Nobody can say where it leads, so it is no host that was opened.
        return link
