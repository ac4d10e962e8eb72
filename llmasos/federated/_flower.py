"""Everything of Flower that is not public, in one place; an exact version of it is pinned.

A contract test says what is relied on, so that another version is found out by it.
"""

from __future__ import annotations

from flwr.app import Error, Message
from flwr.common.constant import ErrorCode
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

RAISED = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
CRASHED = ErrorCode.CLIENT_APP_CRASHED
LATE = ErrorCode.REPLY_MESSAGE_UNAVAILABLE
GONE = ErrorCode.NODE_UNAVAILABLE

SERVER_NODE = 1
"""The node that messages come from, as in Flower's own links."""


def take_part(run: int, node: int = SERVER_NODE) -> None:
    """Say which run, and which node of it, this process makes messages for; Flower keeps that by process."""
    TaskIdentity.run_id = run
    TaskIdentity.node_id = node
    TaskIdentity.task_id = 0


def empty_run(run: int) -> Run:
    """Return what a `Grid` says of its run."""
    return Run.create_empty(run)


def number(message: Message, name: str) -> None:
    """Give a message the name that its reply will refer to, as a link does when it takes one."""
    message.metadata.__dict__["_message_id"] = name


def failed(message: Message, code: int, reason: str) -> Message:
    """Return the reply that says that a message came to nothing."""
    return Message(Error(code, reason), reply_to=message)
