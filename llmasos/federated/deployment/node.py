"""The program of a SuperNode: `python -m llmasos.federated.deployment.node SETTINGS PARENT`.

It speaks Flower's own protocol to a SuperLink. It runs no program that a link sends: only the ClientApp that
is installed here, in a warm process that is forked from this one once the data is read.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from pydantic import BaseModel, ConfigDict

from llmasos.federated._flower import (
    RAISED,
    LineError,
    NodeLine,
    failed,
    packed,
    take_part,
    unpacked,
)
from llmasos.federated.client import client_app
from llmasos.federated.data import Deal
from llmasos.federated.data.sources import load
from llmasos.federated.dataset import Dataset
from llmasos.federated.deployment.link import HEARTBEAT
from llmasos.federated.deployment.programs import begin
from llmasos.federated.local.grid import Answering, Job, reply_of, seed_of
from llmasos.federated.local.workers import Workers
from llmasos.federated.plan import DataPlan

GRACE = 5.0
"""Seconds of a message's time that are left to the reply's way back."""

PACKED = 8_000_000
"""Bytes of arrays that travel as one."""

_PAUSE = 0.5
_RETRY = 2.0


class LineSettings(BaseModel):
    """How a node reaches its link.

    Args:
        address: The link's host and port.
        authority: The certificate (PEM) that the link's own must be signed with.
        key: The node's private key (PEM).
        name: What the node is called.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    authority: str
    key: str
    name: str

    def line(self) -> NodeLine:
        """Return the way to the link."""
        return NodeLine(self.address, self.authority.encode(), self.key.encode(), HEARTBEAT)


class NodeSettings(LineSettings):
    """What a node that trains is told.

    Args:
        data: The one source that it offers, or one that is dealt to several nodes of this machine.
        clients: To how many it is dealt; 0 when the source is the node's own.
        place: Which of them this one is.
        seed: Decides how rows are dealt, and all else that is drawn.
    """

    data: DataPlan
    clients: int = 0
    place: int = 0
    seed: int = 0


class Node:
    """Answers a link's messages, one after the other.

    Args:
        line: Reaches the link.
        app: Makes the ClientApp, in the process that runs it.
        seed: Of all that is drawn.
        tell: Told how it stands with the link, when that changes.
        refuse: Says why a message is not answered; the link cannot get past it.
        seconds: How long an answer may take, whatever the link says; by the message when 0.
    """

    def __init__(
        self,
        line: NodeLine,
        app: Callable[[], ClientApp],
        seed: int,
        tell: Callable[[dict[str, Any]], None],
        *,
        refuse: Callable[[Message], str] = lambda message: "",
        seconds: float = 0.0,
    ) -> None:
        self._line = line
        self._refuse = refuse
        self._seconds = seconds
        self._tell = tell
        self._stands = ""
        self._seed = seed
        self._workers = Workers(Answering(app), 1)
        self._contexts: dict[int, Context] = {}
        self._lock = threading.Lock()
        self._lost = threading.Event()
        self._node = 0

    def run(self) -> None:
        """Answer for ever; a link that cannot be reached is tried again."""
        self._workers.warm()
        threading.Thread(target=self._live, daemon=True).start()
        while True:
            try:
                self._join()
                self._answer()
            except LineError as error:
                stands = "refused" if error.refused else "untrusted" if error.untrusted else "absent"
                self._stand(stands, f"{error}; trying again")
                time.sleep(_RETRY)

    def _join(self) -> None:
        self._node = self._line.join()
        self._lost.clear()
        self._stand("joined", f"joined as node {self._node}")

    def _stand(self, how: str, said: str) -> None:
        if how != self._stands:
            self._stands = how
            _log(said)
            self._tell({"link": how, "said": said})

    def _answer(self) -> None:
        while not self._lost.is_set():
            asked = time.monotonic()
            message = self._line.pull()
            if message is None:
                # Our links hold a request for a while; others are not to be asked without a pause.
                time.sleep(max(0.0, _PAUSE - (time.monotonic() - asked)))
                continue
            began = time.monotonic()
            try:
                message.content = unpacked(message.content)
            except ValueError as error:
                _log(f"a message is none of ours: {error}")
                continue
            reply = self._reply(message)
            if reply.has_content():
                reply.content = packed(reply.content, PACKED)
            try:
                self._line.push(reply, time.monotonic() - began)
            except LineError as error:
                # A reply that came too late is nobody's loss but the round's.
                if not error.refused:
                    raise
                _log(f"a reply was not taken: {error}")

    def _reply(self, message: Message) -> Message:
        run = message.metadata.run_id
        take_part(run, self._node)
        if why := self._refuse(message):
            return failed(message, RAISED, why)
        if run not in self._contexts:
            self._contexts = {run: Context(run, self._node, {}, RecordDict(), {})}
        with self._lock:
            # Nothing else runs in this process while it is forked.
            self._workers.warm()
        job = Job(message, self._contexts[run], seed_of(message, self._seed))
        seconds = self._seconds or max(1.0, message.metadata.ttl - GRACE)
        ((_, answer),) = self._workers.run([job], seconds)
        return reply_of(message, answer, self._contexts[run])

    def _live(self) -> None:
        """Tell the link every few seconds that the node is there."""
        beat = threading.Event()
        while not beat.wait(HEARTBEAT / 2):
            with self._lock:
                if not self._node or self._lost.is_set():
                    continue
                try:
                    self._line.live()
                except LineError as error:
                    if error.refused:
                        self._lost.set()


def serve(settings: Path, tell: Callable[[dict[str, Any]], None]) -> None:
    """Read the data, and answer the link until the parent ends.

    Raises:
        DataError: The data set cannot be trained on.
    """
    told = NodeSettings.model_validate(json.loads(settings.read_text()))
    rows = _rows(told)
    tell({"name": told.name, "rows": len(rows), "kind": rows.kind, "columns": rows.columns})
    Node(told.line(), lambda: client_app(lambda context: (told.name, rows)), told.seed, tell).run()


def _rows(told: NodeSettings) -> Dataset:
    if told.clients:
        return Deal(told.data, told.clients, told.seed).rows(told.place)
    return load(told.data.sources[0], label=told.data.label)


def _log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(begin(serve, sys.argv[1:]))
