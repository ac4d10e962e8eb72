"""Values of arguments: the texts in them, and the hosts that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from llmasos.tools import Tool


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
