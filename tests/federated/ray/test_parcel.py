"""What many messages have in common is sent once, and yet is each one's own."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict

from llmasos.federated._flower import take_part
from llmasos.federated.local.grid import RUN, Job
from llmasos.federated.ray.parcel import Client, parcels
from tests.federated.ray.players import Counting

pytestmark = pytest.mark.anyio


def record(first: float) -> ArrayRecord:
    return ArrayRecord({"w": Array(np.arange(first, first + 10_000))})


def jobs(*records: dict[str, ArrayRecord]) -> list[Job]:
    take_part(RUN)
    made = []
    for node, own in enumerate(records):
        content = RecordDict({**own, "config": ConfigRecord({"node": node})})
        message = Message(content, node, "train", group_id="1")
        made.append(Job(message, Context(RUN, node, {}, RecordDict(), {}), node))
    return made


def clients(count: int) -> list[Client]:
    return [Client(f"client-{place}", place) for place in range(count)]


def weights(job: Job, name: str = "arrays") -> np.ndarray:
    arrays = job.message.content[name]
    assert isinstance(arrays, ArrayRecord)
    return arrays["w"].numpy()


async def test_what_is_shared_is_sent_once_and_what_is_not_travels_by_itself() -> None:
    store, shared = Counting(), record(1.0)
    sent = parcels(
        jobs({"arrays": shared}, {"arrays": shared, "own": record(5.0)}, {"arrays": record(9.0)}),
        clients(3),
        store,
    )
    assert len(store.put_in) == 1
    assert [len(one.shared) for one in sent] == [1, 1, 0]
    assert len(sent[0].job) < 10_000 < len(sent[1].job)
    opened = [await one.opened() for one in sent]
    assert [job.message.content["config"]["node"] for job in opened] == [0, 1, 2]
    assert [weights(job)[0] for job in opened] == [1.0, 1.0, 9.0]
    assert weights(opened[1], "own")[0] == 5.0
    assert [one.client.name for one in sent] == ["client-0", "client-1", "client-2"]


async def test_who_changes_what_was_shared_changes_it_for_nobody_else() -> None:
    shared = record(1.0)
    first, second = parcels(jobs({"arrays": shared}, {"arrays": shared}), clients(2), Counting())
    changed = (await first.opened()).message.content["arrays"]
    assert isinstance(changed, ArrayRecord)
    changed["w"] = Array(np.zeros(3))
    assert weights(await second.opened())[0] == 1.0
    assert weights(await first.opened())[0] == 1.0
