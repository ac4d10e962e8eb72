"""A grid that counts the bytes of the models it carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from llmasos.federated.messages import bytes_of


class MeteredGrid(Grid):  # type: ignore[misc, unused-ignore]
    """Passes everything on to another grid.

    Args:
        grid: What carries the messages.

    Attributes:
        down: Bytes of arrays that went to clients since the count began.
        up: Bytes of arrays that came from them.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.down = self.up = 0

    def forget(self) -> None:
        """Begin to count anew."""
        self.down = self.up = 0

    def set_run(self, run: Run) -> None:
        """Set what is said of the run."""
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        """What is said of the run."""
        return self._grid.run

    def create_message(self, content: RecordDict, *args: Any, **options: Any) -> Message:
        """Return a message to a node."""
        return self._grid.create_message(content, *args, **options)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages."""
        sent = list(messages)
        self.down += sum(map(bytes_of, sent))
        return self._grid.push_messages(sent)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have come."""
        came = list(self._grid.pull_messages(message_ids))
        self.up += sum(map(bytes_of, came))
        return came

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterator[Message]:
        """Send messages once a reply is asked for, and yield the replies as the grid gives them out."""
        sent = list(messages)
        self.down += sum(map(bytes_of, sent))
        for reply in self._grid.send_and_receive(sent, timeout=timeout):
            self.up += bytes_of(reply)
            yield reply
