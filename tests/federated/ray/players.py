"""What answers in place of a ClientApp: it does what the client's name says. And a store that counts."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from flwr.app import ArrayRecord, Message, RecordDict

from llmasos.federated.local.workers import answered
from llmasos.federated.ray.parcel import Parcel


@dataclass(frozen=True)
class Here:
    """A value that travels with who names it."""

    pickled: bytes

    async def load(self) -> Any:
        return pickle.loads(self.pickled)


class Counting:
    """A store whose values travel."""

    def __init__(self) -> None:
        self.put_in: list[Any] = []

    def put(self, value: Any) -> Here:
        self.put_in.append(value)
        return Here(pickle.dumps(value))


class Player:
    async def answer(self, parcel: Parcel) -> bytes:
        job = await parcel.opened()

        def work(_: Any) -> tuple[Message, RecordDict]:
            match parcel.client.name:
                case "raises":
                    raise RuntimeError("no data here")
                case "dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "hangs":
                    threading.Event().wait()
            arrays = job.message.content["arrays"]
            assert isinstance(arrays, ArrayRecord)
            return Message(RecordDict({"arrays": arrays}), reply_to=job.message), job.context.state

        return await anyio.to_thread.run_sync(answered, work, job)


async def player(_: Any) -> Player:
    return Player()
