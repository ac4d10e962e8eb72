"""The batch, one step at a time: whose turn it is, whose memory, and what a failure ends."""

from pathlib import Path
from typing import Any

import pytest

from llmasos.errors import ModelError
from llmasos.models.engines.port import Chunk, CompletionRequest, EngineDied, LoadPlan, OutOfMemory
from llmasos.models.engines.transformers.load import Loaded, read


@pytest.fixture(scope="module")
def loaded(tiny: Path) -> Loaded:
    return read(
        LoadPlan(
            name="tiny",
            path=tiny,
            format="safetensors",
            cache_dir=tiny,
            context=256,
            threads=1,
            dtype="float32",
        )
    )


class Desk:
    """A batch whose replies are kept with what they were sent."""

    def __init__(self, loaded: Loaded, slots: int, context: int = 256) -> None:
        from llmasos.models.engines.transformers.batching import Batch
        from llmasos.models.engines.transformers.vocabulary import Vocabulary

        self.vocabulary = Vocabulary(loaded.tokenizer, loaded.size)
        self.batch = Batch(loaded.model, self.vocabulary, context, slots)
        self.replies: list[Any] = []
        self.sent: dict[int, list[Any]] = {}

    def add(self, session: str, length: int = 8, limit: int = 10**6, tenant: str = "") -> Any:
        from llmasos.models.engines.transformers.reply import Reply
        from llmasos.models.engines.transformers.sampling import Sampler
        from llmasos.models.engines.transformers.text import ReplyText

        reply = Reply(
            [7 + (len(self.replies) + place) % 90 for place in range(length)],
            limit=limit,
            ends=frozenset(),
            sampler=Sampler(CompletionRequest()),
            text=ReplyText(self.vocabulary.data),
            session=session,
            tenant=tenant,
        )
        self.replies.append(reply)
        sent = self.sent[id(reply)] = []
        reply.send = sent.append
        self.batch.add(reply)
        return reply

    def run(self, steps: int = 10**6) -> int:
        done = 0
        while done < steps and self.batch.step():
            done += 1
        return done


@pytest.mark.parametrize("slots", [1, 2, 8])
@pytest.mark.parametrize("flood", [1, 3, 16])
def test_a_light_session_writes_within_five_steps_of_a_flood(loaded: Loaded, slots: int, flood: int) -> None:
    desk = Desk(loaded, slots)
    for number in range(24):
        desk.add(f"flood{number % flood}", length=20, limit=200)
    desk.run(30)
    light = desk.add("light", length=20, limit=3)
    desk.run(5)
    assert light.tokens


def test_sessions_write_alike_however_many_requests_they_have(loaded: Loaded) -> None:
    desk = Desk(loaded, slots=2)
    many = [desk.add("many", limit=200) for _ in range(8)]
    one = desk.add("one", limit=200)
    desk.run(60)
    written = sum(len(reply.tokens) for reply in many)
    assert abs(written - len(one.tokens)) <= 12


def test_a_session_that_was_away_has_earned_nothing(loaded: Loaded) -> None:
    desk = Desk(loaded, slots=1)
    desk.add("away", limit=1)
    busy = desk.add("busy", limit=240)
    desk.run(80)
    back = desk.add("away", limit=240)
    before = len(busy.tokens)
    desk.run(60)
    assert abs((len(busy.tokens) - before) - len(back.tokens)) <= 12


def test_everything_is_written_the_same_when_blocks_are_short(loaded: Loaded) -> None:
    alone: list[list[int]] = []
    desk = Desk(loaded, slots=2, context=128)
    replies = [desk.add(str(number), length=60, limit=60) for number in range(9)]
    requeued = 0
    scheduler = desk.batch._processor.scheduler
    inner = scheduler.requeue

    def count(state: Any) -> None:
        nonlocal requeued
        requeued += 1
        inner(state)

    scheduler.requeue = count
    desk.run()
    assert requeued > 0
    assert desk.batch.replies == {}
    single = Desk(loaded, slots=1, context=128)
    for _ in replies:
        alone.append(single.add("", length=60, limit=60).tokens)
        single.run()
    assert [reply.tokens for reply in replies] == alone
    # All that is left are blocks kept for others.
    while desk.batch._processor.cache.drop_oldest():
        pass
    assert desk.batch.free_share == 1.0
    assert desk.batch._processor.cache._tenants == {}


def test_a_reader_who_does_not_keep_up_makes_room(loaded: Loaded) -> None:
    desk = Desk(loaded, slots=1)
    slow = desk.add("slow", limit=50)
    desk.run(5)
    slow.stalled = lambda: True
    other = desk.add("other", limit=20)
    written = len(slow.tokens)
    desk.run()
    assert other.finished
    assert len(slow.tokens) == written
    slow.stalled = lambda: False
    desk.run()
    assert slow.finished


def test_a_failing_step_ends_its_own_requests(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(loaded, slots=2)
    ran = [desk.add("a"), desk.add("b")]
    waits = desk.add("a", limit=5)
    desk.run(3)

    def broken(*arguments: Any) -> None:
        raise RuntimeError("kernel failed")

    with monkeypatch.context() as patch:
        patch.setattr(desk.batch._processor, "_generation_step", broken)
        desk.run(1)
    for reply in ran:
        assert isinstance(desk.sent[id(reply)][-1], ModelError)
    desk.run()
    last = desk.sent[id(waits)][-1]
    assert isinstance(last, Chunk)
    assert last.finish_reason == "length"


@pytest.mark.parametrize(
    "place", ["prepare_next_batch", "_generation_step", "update_batch", "schedule", "forward", "sample"]
)
def test_out_of_memory_anywhere_in_a_step_leaves_the_batch_alive(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    import torch

    desk = Desk(loaded, slots=2)
    reply = desk.add("a")
    desk.run(2)
    processor = desk.batch._processor
    owner, name = {
        "schedule": (processor.scheduler, "schedule_batch"),
        "forward": (loaded.model, "forward"),
        "sample": (processor.model_runner, "_sample"),
    }.get(place, (processor, place))

    def full(*arguments: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        desk.run(1)
    assert isinstance(desk.sent[id(reply)][-1], OutOfMemory)
    after = desk.add("a", limit=4)
    desk.run()
    assert len(after.tokens) == 4
    assert desk.batch.free_share > 0.9


def test_numbers_that_are_none_end_one_reply(loaded: Loaded) -> None:
    desk = Desk(loaded, slots=2)
    broken, good = desk.add("a", limit=9), desk.add("b", limit=9)
    inner = desk.batch._processor.model_runner._sample

    def poison(scores: Any, output: Any) -> None:
        scores[0, 0] = float("nan")
        inner(scores, output)

    desk.run(2)
    desk.batch._processor.model_runner._sample = poison
    desk.run(1)
    desk.batch._processor.model_runner._sample = inner
    desk.run()
    assert isinstance(desk.sent[id(broken)][-1], ModelError)
    assert len(good.tokens) == 9


def test_a_closed_batch_ends_its_replies(loaded: Loaded) -> None:
    desk = Desk(loaded, slots=1)
    replies = [desk.add("a"), desk.add("b")]
    desk.run(2)
    desk.batch.close(EngineDied("gone"))
    assert [str(desk.sent[id(reply)][-1]) for reply in replies] == ["gone", "gone"]
