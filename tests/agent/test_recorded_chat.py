"""Calls of chats, recorded."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import anyio
import pytest

from llmasos.agent.recorded_chat import RecordedChat, sha256_chat
from llmasos.errors import LedgerError, ModelError
from llmasos.ledger import MemoryLedger
from llmasos.models import Origin
from llmasos.models.chat.fake import FakeChat
from llmasos.models.chat.port import ChatCall, ChatDelta, ChatMessage, ChatRequest
from llmasos.models.engines.port import CompletionRequest, TokenUsage
from llmasos.models.scheduler.types import Refused

pytestmark = pytest.mark.anyio
HELLO = ChatMessage(role="user", content="hello")
REQUEST = ChatRequest(messages=(HELLO,))


class Stage:
    def __init__(self, *replies: str | ChatCall | Exception, elsewhere: bool = False) -> None:
        self.ledger = MemoryLedger()
        self.spent: list[TokenUsage] = []
        self.fault: Exception | None = None
        self.inner = FakeChat(replies)
        self.chat = RecordedChat(
            "fake",
            self._open,
            self._origin,
            self.ledger,
            session="api:k",
            facts={"request": "r1"},
            spent=self._spend,
            elsewhere=elsewhere,
        )

    def _open(self, used: Callable[[TokenUsage], None]) -> FakeChat:
        self.told = used
        return self.inner

    async def _origin(self) -> Origin:
        if self.fault is not None:
            raise self.fault
        return Origin(model="fake", endpoint="example.org")

    async def _spend(self, usage: TokenUsage) -> None:
        self.spent.append(usage)


async def test_a_record_holds_hashes_of_the_conversation_and_no_words() -> None:
    call = ChatCall(id="c", name="write", arguments='{"text": "hunter2"}')
    it = Stage(call, "done hunter2")
    deltas = [delta async for delta in it.chat.stream(REQUEST)]
    assert deltas[-1].finish_reason == "tool_calls" and it.chat.name == "fake"
    made = ChatMessage(role="assistant", calls=(call,))
    result = ChatMessage(role="tool", content="long" * 50_000, call_id="c")
    longer = REQUEST.model_copy(update={"messages": (HELLO, made, result)})
    assert [delta async for delta in it.chat.stream(longer)]
    first, second = (entry.body for entry in it.ledger.entries)
    assert first["messages_sha256"] == sha256_chat([HELLO]) and first["reply_sha256"] == sha256_chat([made])
    assert second["messages_sha256"] == sha256_chat([HELLO, made, result])
    assert (first["endpoint"], first["request"], first["status"]) == ("example.org", "r1", "ok")
    assert "hunter2" not in str(it.ledger.entries)
    assert len(it.spent) == 2 and it.spent[0].input == 5


async def test_the_end_is_handed_on_only_when_it_is_recorded() -> None:
    it = Stage("hello there", "hello there")
    it.ledger.refuse = LedgerError("Full.")
    came = []
    with pytest.raises(LedgerError):
        async for delta in it.chat.stream(REQUEST):
            came.append(delta)
    assert came and all(delta.finish_reason is None for delta in came)
    with pytest.raises(LedgerError):
        async for chunk in it.chat.complete(CompletionRequest(prompt="x")):
            assert chunk.finish_reason is None
    with pytest.raises(LedgerError):
        await it.chat.embed(["x"])
    # The tokens were used all the same.
    assert len(it.spent) == 3


async def test_a_reply_whose_source_is_unknown_is_recorded_and_not_handed_on() -> None:
    it = Stage("hello", ModelError("No."))
    it.fault = ModelError("The file cannot be read.")
    came = []
    with pytest.raises(ModelError, match="cannot be read"):
        async for delta in it.chat.stream(REQUEST):
            came.append(delta)
    assert all(delta.finish_reason is None for delta in came)
    with pytest.raises(ModelError, match="No"):
        [delta async for delta in it.chat.stream(REQUEST)]
    whole, broken = (entry.body for entry in it.ledger.entries)
    assert (whole["status"], whole["error"], whole["model"]) == ("failed", "ModelError", "fake")
    assert whole["reply_sha256"] and whole["output_tokens"] == 2 and "weights_sha256" not in whole
    assert (broken["status"], broken["model"]) == ("failed", "fake")


async def test_what_cannot_be_charged_is_recorded_all_the_same() -> None:
    it = Stage("hello", "hello there")

    async def fails(usage: TokenUsage) -> None:
        raise LedgerError("The disk is full.")

    it.chat._spent = fails
    with pytest.raises(LedgerError):
        [delta async for delta in it.chat.stream(REQUEST)]
    async with aclosing(it.chat.stream(REQUEST)) as deltas:
        await anext(deltas)
        with pytest.raises(LedgerError):
            await deltas.aclose()
    assert [entry.body["status"] for entry in it.ledger.entries] == ["ok", "cancelled"]


async def test_an_endpoint_that_is_busy_costs_nothing() -> None:
    it = Stage(Refused("Wait.", status=429), elsewhere=True)
    with pytest.raises(Refused):
        [delta async for delta in it.chat.stream(REQUEST)]
    assert it.spent == []


async def test_what_runs_elsewhere_is_paid_for_from_its_beginning() -> None:
    for elsewhere, paid in ((True, [(True, 0)]), (False, [])):
        it = Stage("hello", elsewhere=elsewhere)

        async def endless(request: ChatRequest) -> AsyncGenerator[ChatDelta]:
            await anyio.sleep_forever()
            yield ChatDelta()

        it.inner.stream = endless  # type: ignore[method-assign]
        with anyio.move_on_after(0.001):
            [delta async for delta in it.chat.stream(REQUEST)]
        assert [(usage.input > 0, usage.output) for usage in it.spent] == paid


async def test_failures_and_readers_who_leave_are_recorded() -> None:
    it = Stage(ModelError("No."), "hello there", "hello there", ModelError("No."))
    with pytest.raises(ModelError):
        [delta async for delta in it.chat.stream(REQUEST)]
    assert it.spent == []
    async with aclosing(it.chat.stream(REQUEST)) as deltas:
        await anext(deltas)
    assert it.inner.stopped == 1
    async with aclosing(it.chat.complete(CompletionRequest(prompt="Once"))) as chunks:
        await anext(chunks)
    with pytest.raises(ModelError):
        [chunk async for chunk in it.chat.complete(CompletionRequest(prompt="Once"))]
    statuses = [(entry.body["status"], entry.body.get("error")) for entry in it.ledger.entries]
    assert statuses == [
        ("failed", "ModelError"),
        ("cancelled", None),
        ("cancelled", None),
        ("failed", "ModelError"),
    ]
    assert len(it.spent) == 2 and all(usage.output > 0 for usage in it.spent)


async def test_a_failure_that_cannot_be_recorded_stays_what_it_was() -> None:
    it = Stage(ModelError("No."))
    it.ledger.refuse = LedgerError("Full.")
    with pytest.raises(ModelError, match="No"):
        [delta async for delta in it.chat.stream(REQUEST)]
