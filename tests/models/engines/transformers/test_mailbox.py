"""What a reply sent and its reader has not read."""

import anyio
import anyio.to_thread
import pytest

from llmasos.errors import ModelError
from llmasos.models.engines.port import Chunk
from llmasos.models.engines.transformers.mailbox import Mailbox

pytestmark = pytest.mark.anyio


async def test_chunks_come_from_another_thread_up_to_the_last_one() -> None:
    with Mailbox() as mailbox:
        for text in ("a", "b"):
            await anyio.to_thread.run_sync(mailbox.put, Chunk(text=text))
        await anyio.to_thread.run_sync(mailbox.put, Chunk(finish_reason="stop"))
        assert [chunk.text async for chunk in mailbox.chunks()] == ["a", "b", ""]


async def test_a_reader_who_stops_is_noticed_and_so_is_one_who_catches_up() -> None:
    with Mailbox() as mailbox:
        for number in range(300):
            mailbox.put(Chunk(text=str(number)))
        await anyio.lowlevel.checkpoint()
        assert mailbox.stalled()
        chunks = mailbox.chunks()
        for _ in range(60):
            await anext(chunks)
        assert not mailbox.stalled()


async def test_an_error_ends_the_chunks_and_late_ones_are_lost_quietly() -> None:
    with Mailbox() as mailbox:
        mailbox.put(ModelError("broken"))
        with pytest.raises(ModelError, match="broken"):
            await anext(mailbox.chunks())
    mailbox.put(Chunk(text="late"))
    await anyio.lowlevel.checkpoint()


def test_a_loop_that_is_gone_is_no_error() -> None:
    async def make() -> Mailbox:
        with Mailbox() as mailbox:
            return mailbox

    anyio.run(make).put(Chunk(text="late"))
