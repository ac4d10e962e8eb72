"""The program of a silo's node: `python -m llmasos.silo.node SETTINGS PARENT`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flwr.app import Message
from flwr.clientapp import ClientApp

from llmasos.federated.deployment.node import LineSettings, Node
from llmasos.federated.deployment.programs import begin
from llmasos.federated.questions import question_app
from llmasos.silo.answering import SECONDS, kernel_answering
from llmasos.support import Limiter

_MINUTE = 60.0


class SiloSettings(LineSettings):
    """What the node is told.

    Args:
        socket: The kernel's.
        collection: The documents.
        folder: An empty folder, which is all that its sessions see.
        per_minute: Questions in a minute.
        quotes: Whether citations show the passages' words.
    """

    socket: Path
    collection: str
    folder: Path
    per_minute: int
    quotes: bool


def serve(settings: Path, tell: Callable[[dict[str, Any]], None]) -> None:
    """Answer the link until the parent ends."""
    told = SiloSettings.model_validate_json(settings.read_text())
    tell({"name": told.name})
    limiter = Limiter(told.per_minute, _MINUTE)

    def refuse(_message: Message) -> str:
        # Here, and not where answers are made: those processes end when they take too long.
        wait = limiter.take("")
        return f"it answers {told.per_minute} questions a minute; ask again in {wait} seconds" if wait else ""

    Node(told.line(), partial(_app, told), 0, tell, refuse=refuse, seconds=SECONDS).run()


def _app(told: SiloSettings) -> ClientApp:
    return question_app(kernel_answering(told.socket, told.collection, told.folder, quotes=told.quotes))


if __name__ == "__main__":
    sys.exit(begin(serve, sys.argv[1:]))
