"""A Flower `Grid` whose nodes are answered for by workers: no ports, and the same result each time."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from llmasos.federated._flower import CRASHED, LATE, RAISED, empty_run, failed, number, take_part
from llmasos.federated.local.workers import Answer

RUN = 1
"""The run that all messages of a process are of."""


@dataclass(frozen=True)
class Job:
    """A message to be answered under a context, and the seed of all global generators meanwhile."""

    message: Message
    context: Context
    seed: int


class Crew(Protocol):
    """Workers that answer jobs, on this machine or on others."""

    def run(self, jobs: Sequence[Job], seconds: float) -> Generator[tuple[int, Answer]]:
        """Yield each job's place and its answer, of which the value is what `Answering` returns.

        Args:
            jobs: What is answered.
            seconds: How long each may take.
        """

    def close(self) -> None:
        """End the workers."""


class CrewGrid(Grid):
    """Carries messages to a ClientApp in workers; replies come in the order of the messages.

    What a node keeps in its context's state stays with the grid between its messages. Global generators are
    seeded for each message by the seed, the node and the message's group and type, so that a ClientApp that
    draws from them does the same in each run, whichever worker it runs in.

    Args:
        crew: The workers, each with the ClientApp.
        nodes: What each node's context holds as its configuration, by node.
        seconds: How long a client may take when a message does not say.
        seed: Of all that is drawn.
    """

    def __init__(
        self,
        crew: Crew,
        nodes: Mapping[int, Mapping[str, str | int | float | bool]],
        *,
        seconds: float,
        seed: int,
    ) -> None:
        take_part(RUN)
        self._run = empty_run(RUN)
        self._contexts = {
            node: Context(RUN, node, dict(config), RecordDict(), {}) for node, config in nodes.items()
        }
        self._crew = crew
        self._seconds = seconds
        self._seed = seed
        self._replies: dict[str, Message] = {}

    def set_run(self, run: Run) -> None:
        """Set what is said of the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """What is said of the run."""
        return self._run

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
        """Return the nodes."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Carry messages out at once, and return what their replies are pulled by."""
        messages = list(messages)
        for reply in self.send_and_receive(messages):
            self._replies[reply.metadata.reply_to_message_id] = reply
        return [message.metadata.message_id for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies to messages that were pushed."""
        return [self._replies.pop(name) for name in message_ids if name in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterator[Message]:
        """Carry messages to their nodes and yield the replies; those that failed say why.

        Whoever takes them has time for each while the others are worked on.

        Args:
            messages: To nodes of this grid.
            timeout: Seconds that each client may take.
        """
        messages = list(messages)
        for message in messages:
            number(message, uuid.uuid4().hex)
        jobs = [self._job(message) for message in messages]
        replies: dict[int, Message] = {}
        following = 0
        with closing(self._crew.run(jobs, timeout or self._seconds)) as answers:
            for place, answer in answers:
                replies[place] = self._reply(messages[place], answer)
                while following in replies:
                    yield replies.pop(following)
                    following += 1

    def close(self) -> None:
        """End all workers."""
        self._crew.close()

    def _job(self, message: Message) -> Job:
        return Job(message, self._contexts[message.metadata.dst_node_id], seed_of(message, self._seed))

    def _reply(self, message: Message, answer: Answer) -> Message:
        return reply_of(message, answer, self._contexts[message.metadata.dst_node_id])


def reply_of(message: Message, answer: Answer, context: Context) -> Message:
    """Return the reply that a worker's answer to a message is, and keep the client's state.

    Args:
        message: What was asked.
        answer: What `Answering` returned, or why it did not.
        context: The client's.
    """
    if answer.failure:
        code = LATE if answer.late else CRASHED if answer.failure.startswith("it died") else RAISED
        return failed(message, code, answer.failure)
    reply, context.state = answer.value
    assert isinstance(reply, Message)
    return reply


def seed_of(message: Message, seed: int) -> int:
    """Return the seed of the global generators while a message is answered."""
    meta = message.metadata
    # Of the text alone: Python's own hash differs between processes.
    words = list(f"{meta.group_id}\0{meta.message_type}".encode())
    return int(np.random.SeedSequence([seed, meta.dst_node_id, *words]).generate_state(1)[0])


class Answering:
    """What a worker does with each message; it returns the reply and the context's state.

    Args:
        make: Makes the ClientApp, when the first message has come.
    """

    def __init__(self, make: Callable[[], ClientApp]) -> None:
        self._make = make
        self._app: ClientApp | None = None

    def __call__(self, job: Job) -> tuple[Message, RecordDict]:
        """Answer a message."""
        if self._app is None:
            self._app = self._make()
        random.seed(job.seed)
        np.random.seed(job.seed)
        return self._app(job.message, job.context), job.context.state
