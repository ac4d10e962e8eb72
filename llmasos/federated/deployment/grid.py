"""A Flower `Grid` over a SuperLink whose waits all end, and that says of each message what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from llmasos.federated._flower import (
    GONE,
    LATE,
    RAISED,
    LineError,
    failed,
    line_errors,
    number,
    packed,
    unpacked,
)
from llmasos.federated.deployment.link import HEARTBEAT
from llmasos.federated.deployment.node import GRACE, PACKED
from llmasos.federated.port import FederatedError

T = TypeVar("T")

_PAUSE = 0.02
_SILENT = "its node has shown no sign of life for {:g} seconds"


class LinkedGrid(Grid):
    """Carries messages to nodes; replies come in the order of the messages.

    Args:
        grid: Reaches the link.
        seconds: How long a client may take when a message does not say.
        check: Raises FederatedError when the link has ended.
        dead: Returns how nodes ended that are known to have, by node.
        again: What to do when the link cannot be reached.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        seconds: float,
        check: Callable[[], None],
        dead: Callable[[], Mapping[int, str]] = dict,
        again: str = "",
    ) -> None:
        self._again = again
        self._grid = grid
        self._seconds = seconds
        self._check = check
        self._dead = dead

    def set_run(self, run: Run) -> None:
        """Set what is said of the run."""
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        """What is said of the run."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a message to a node."""
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes that are there."""
        dead = self._dead()
        return sorted(node for node in self._ask(lambda: list(self._grid.get_node_ids())) if node not in dead)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages, and return what their replies are pulled by."""
        sent = list(messages)
        return self._ask(lambda: list(self._grid.push_messages(sent)))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have come."""
        wanted = list(message_ids)
        return self._ask(lambda: list(self._grid.pull_messages(wanted)))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Send messages and return the replies; those that came to nothing say why.

        Args:
            messages: To nodes of the link.
            timeout: Seconds that each client may take.

        Raises:
            FederatedError: The link has ended, or cannot be reached.
        """
        sent = list(messages)
        if not sent:
            return []
        seconds = timeout or self._seconds
        for message in sent:
            message.metadata.ttl = seconds + GRACE
        names = list(self.push_messages(map(_packed, sent)))
        for name, message in zip(names, sent, strict=True):
            number(message, name)
        replies: list[Message | None] = [
            None if name else failed(message, GONE, "its node is not there")
            for name, message in zip(names, sent, strict=True)
        ]
        waiting = {name: place for place, name in enumerate(names) if name}
        deadline = time.monotonic() + seconds + GRACE / 2
        while waiting and (asked := time.monotonic()) < deadline:
            for reply in self.pull_messages(list(waiting)):
                place = waiting.pop(reply.metadata.reply_to_message_id)
                replies[place] = self._reply(sent[place], reply)
            dead = self._dead()
            for name, place in list(waiting.items()):
                if (how := dead.get(sent[place].metadata.dst_node_id)) is not None:
                    del waiting[name]
                    replies[place] = failed(sent[place], GONE, f"its node died ({how})")
            if waiting and time.monotonic() - asked < _PAUSE:
                # Our links hold a request until there is a reply; others are not to be asked without a pause.
                time.sleep(_PAUSE)
        late = "it took too long"
        return [reply or failed(sent[place], LATE, late) for place, reply in enumerate(replies)]

    def _reply(self, message: Message, reply: Message) -> Message:
        if not reply.has_error():
            try:
                reply.content = unpacked(reply.content)
            except ValueError as wrong:
                return failed(message, RAISED, str(wrong))
            return reply
        error = reply.error
        if error.code == GONE:
            return failed(message, GONE, _SILENT.format(2 * HEARTBEAT))
        return failed(message, error.code, error.reason or "it gave no reason")

    def _ask(self, request: Callable[[], list[T]]) -> list[T]:
        self._check()
        try:
            with line_errors():
                return request()
        except LineError as error:
            self._check()
            raise FederatedError(
                f"The SuperLink cannot be reached: {error}.",
                hint=self._again,
            ) from error


def _packed(message: Message) -> Message:
    meta = message.metadata
    content = packed(message.content, PACKED)
    return Message(content, meta.dst_node_id, meta.message_type, group_id=meta.group_id, ttl=meta.ttl)
