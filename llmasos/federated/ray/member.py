"""What is placed on a worker: the ClientApp, which answers for whichever client it is asked."""

from __future__ import annotations

import anyio.from_thread
import anyio.to_thread
from flwr.app import Context

from llmasos.federated._flower import take_part
from llmasos.federated.client import client_app
from llmasos.federated.data import Deal
from llmasos.federated.dataset import Dataset
from llmasos.federated.local.grid import RUN, Answering, Job
from llmasos.federated.local.workers import answered
from llmasos.federated.ray.parcel import Client, Parcel
from llmasos.federated.ray.store import Kept


class Member:
    """Answers one parcel at a time.

    Args:
        deal: All clients' rows, where one data set was dealt.
    """

    def __init__(self, deal: Deal | None) -> None:
        self._deal = deal
        self._answering = Answering(lambda: client_app(self._rows))
        self._client: Client

    async def answer(self, parcel: Parcel) -> bytes:
        """Return the pickled `Answer` to a parcel."""
        self._client = parcel.client
        job = await parcel.opened()
        # In a thread, so that the worker can be spoken to meanwhile.
        return await anyio.to_thread.run_sync(answered, self._work, job)

    def _work(self, job: Job) -> object:
        try:
            return self._answering(job)
        except SystemExit as error:
            # Here it would end only the thread.
            raise RuntimeError(f"SystemExit({error.code})") from error

    def _rows(self, context: Context) -> tuple[str, Dataset]:
        client = self._client
        if client.rows is not None:
            dataset = anyio.from_thread.run(client.rows.load)
        else:
            assert self._deal is not None
            dataset = self._deal.rows(client.place)
        return client.name, dataset


async def member(deal: Kept | None) -> Member:
    """Return the member of a worker.

    Args:
        deal: Where the rows of all clients are; None where each has a data set of its own.
    """
    take_part(RUN)
    return Member(None if deal is None else await deal.load())
