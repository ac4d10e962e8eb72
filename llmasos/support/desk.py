"""What a help desk is: where it is reached, what it answers from, and what a visitor may do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Desk:
    """A help desk.

    Args:
        collection: The documents that it answers from.
        title: What the page says at its top.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        per_minute: Questions of one visitor in a minute.
        at_once: Questions that are answered at once.
        origins: Web origins whose pages may ask, beside its own.
        longest: Characters of a question.
        messages: Messages of one conversation.
        waiting: Questions that may wait for an answer, over all visitors.
        conversations: Conversations that one address may begin in an hour.
    """

    collection: str
    title: str
    host: str = "127.0.0.1"
    port: int = 8600
    per_minute: int = 10
    at_once: int = 2
    origins: tuple[str, ...] = ()
    longest: int = 1000
    messages: int = 200
    waiting: int = 20
    conversations: int = 30
