"""The grid over a link: order, ends of waits, and what became of each message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict

from llmasos.federated._flower import GONE, LATE, RAISED, failed, number, packed, take_part, unpacked
from llmasos.federated.deployment import grid as module
from llmasos.federated.deployment.grid import LinkedGrid
from llmasos.federated.port import FederatedError


class Inner:
    """Flower's grid, without a link."""

    def __init__(self, answer: Callable[[Message], Message | None]) -> None:
        self.answer = answer
        self.sent: dict[str, Message] = {}

    def get_node_ids(self) -> list[int]:
        return [4, 3, 2]

    def push_messages(self, messages: list[Message]) -> list[str]:
        names = []
        for message in messages:
            if message.metadata.dst_node_id == 9:
                names.append("")
                continue
            number(message, f"m{message.metadata.dst_node_id}")
            self.sent[message.metadata.message_id] = message
            names.append(message.metadata.message_id)
        return names

    def pull_messages(self, names: list[str]) -> list[Message]:
        replies = []
        for name in sorted(names, reverse=True):
            if name in self.sent and (reply := self.answer(self.sent[name])) is not None:
                del self.sent[name]
                replies.append(reply)
        return replies


def made(inner: Any, **given: Any) -> LinkedGrid:
    take_part(1)
    return LinkedGrid(inner, seconds=60, check=given.pop("check", lambda: None), **given)


def message(node: int) -> Message:
    return Message(RecordDict({"config": ConfigRecord({"node": node})}), node, "train", group_id="1")


def echo(asked: Message) -> Message:
    content = unpacked(asked.content)
    return Message(packed(content, 1000), reply_to=asked)


def test_replies_come_in_the_order_of_the_messages() -> None:
    replies = made(Inner(echo)).send_and_receive([message(node) for node in (3, 2, 4)])
    assert [reply.content.config_records["config"]["node"] for reply in replies] == [3, 2, 4]


def test_what_came_to_nothing_is_said_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.0)

    def answer(asked: Message) -> Message | None:
        match asked.metadata.dst_node_id:
            case 2:
                return failed(asked, RAISED, "it raised ValueError: no")
            case 3:
                return Message(Error(GONE, "Flower's words"), reply_to=asked)
            case _:
                return None

    grid = made(Inner(answer), dead=lambda: {5: "signal 9"})
    replies = grid.send_and_receive([message(node) for node in (2, 3, 4, 5, 9)], timeout=0.1)
    assert [(reply.error.code, reply.error.reason) for reply in replies] == [
        (RAISED, "it raised ValueError: no"),
        (GONE, "its node has shown no sign of life for 8 seconds"),
        (LATE, "it took too long"),
        (GONE, "its node died (signal 9)"),
        (GONE, "its node is not there"),
    ]
    assert [reply.metadata.src_node_id for reply in replies] == [2, 3, 4, 5, 9]


def test_nodes_that_have_died_are_not_there() -> None:
    assert made(Inner(echo), dead=lambda: {3: "signal 9"}).get_node_ids() == [2, 4]


def test_a_link_that_has_ended_or_cannot_be_reached_ends_the_wait() -> None:
    def ended() -> None:
        raise FederatedError("The SuperLink has ended (signal 9).")

    with pytest.raises(FederatedError, match="has ended"):
        made(Inner(echo), check=ended).send_and_receive([message(2)])

    def cut(asked: Message) -> Message:
        raise httpx.ConnectError("refused")

    with pytest.raises(FederatedError, match="cannot be reached: refused"):
        made(Inner(cut)).send_and_receive([message(2)])
