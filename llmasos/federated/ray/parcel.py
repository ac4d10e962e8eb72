"""A job on its way to a worker: what many messages have in common is kept in the store, and named in each."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from flwr.app import ArrayRecord

from llmasos.federated.local.grid import Job
from llmasos.federated.ray.store import Kept, Store


@dataclass(frozen=True)
class Client:
    """Whom a job is for.

    Args:
        name: What the client is called.
        place: Which one it is, from 0.
        rows: Its data set; None where it has a part of one that the workers have.
    """

    name: str
    place: int
    rows: Kept | None = None


@dataclass(frozen=True)
class Parcel:
    """A job as it travels.

    Args:
        client: Whom it is for.
        job: The pickled job, without what is shared.
        shared: What it has in common with others, pickled.
    """

    client: Client
    job: bytes
    shared: tuple[Kept, ...]

    async def opened(self) -> Job:
        """Return the job, which has nothing in common with any other."""
        unpickler = _Unpickler(BytesIO(self.job))
        unpickler.shared = [await kept.load() for kept in self.shared]
        job = unpickler.load()
        assert isinstance(job, Job)
        return job


def parcels(jobs: Sequence[Job], clients: Iterable[Client], store: Store) -> list[Parcel]:
    """Return jobs as they travel; the weights of a round, which all messages hold, are sent once.

    Args:
        jobs: The jobs.
        clients: Whom each is for.
        store: Keeps what is shared.
    """
    held = [_arrays(job) for job in jobs]
    count = Counter(id(record) for records in held for record in records)
    kept: dict[int, Kept] = {}
    made = []
    for job, client, records in zip(jobs, clients, held, strict=True):
        shared = [record for record in records if count[id(record)] > 1]
        for record in shared:
            if id(record) not in kept:
                kept[id(record)] = store.put(pickle.dumps(record, pickle.HIGHEST_PROTOCOL))
        file = BytesIO()
        pickler = _Pickler(file, pickle.HIGHEST_PROTOCOL)
        pickler.places = {id(record): place for place, record in enumerate(shared)}
        pickler.dump(job)
        made.append(Parcel(client, file.getvalue(), tuple(kept[id(record)] for record in shared)))
    return made


def _arrays(job: Job) -> list[ArrayRecord]:
    return [record for record in job.message.content.values() if isinstance(record, ArrayRecord)]


class _Pickler(pickle.Pickler):
    places: Mapping[int, int]

    def persistent_id(self, obj: Any) -> int | None:
        return self.places.get(id(obj)) if isinstance(obj, ArrayRecord) else None


class _Unpickler(pickle.Unpickler):
    shared: Sequence[bytes]

    def persistent_load(self, pid: Any) -> Any:
        return pickle.loads(self.shared[pid])  # noqa: S301 - of the run's own program
