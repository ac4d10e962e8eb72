"""The console on the wire: links that open it."""

from __future__ import annotations

from llmasos.api.wire import Wire


class ConsoleRequest(Wire):
    """Who will open the console: the key of this id, or with none whoever asks."""

    key: str = ""


class ConsoleLink(Wire):
    """A link that opens the console in one browser, once.

    Args:
        seconds: How long it may wait to be used.
    """

    url: str
    seconds: float
