"""The deal: which rows each of a plan's clients has."""

from __future__ import annotations

from pathlib import Path

from llmasos.federated.data.partition import Rows, partition
from llmasos.federated.data.sources import divided, load
from llmasos.federated.dataset import Dataset
from llmasos.federated.plan import DataPlan
from llmasos.federated.port import DataError


class Deal:
    """Every client's rows, on one machine.

    One data set is read once and dealt; where each client has its own, it is read when it is asked for.

    Args:
        data: What the plan says of its data.
        clients: How many there are.
        seed: Decides how rows are dealt.
        folder: Where paths that are not absolute begin.

    Raises:
        DataError: A source is missing, or there are more clients than it has rows for.
    """

    def __init__(self, data: DataPlan, clients: int, seed: int, folder: Path | None = None) -> None:
        self._label, self._folder = data.label, folder
        parts = divided(data.sources[0])
        self._sources = data.sources if len(data.sources) > 1 else parts
        if self._sources and len(self._sources) != clients:
            raise DataError(
                f"{data.sources[0]!r} comes from {len(self._sources)} devices, each of which is a client.",
                hint=f"Ask for {len(self._sources)} clients in place of {clients}.",
            )
        self._whole: Dataset | None = None
        self._rows: list[Rows] = []
        if not self._sources:
            self._whole = load(data.sources[0], label=data.label, folder=folder)
            self._rows = partition(self._whole.labels, clients, data.partition, seed)

    @property
    def dealt(self) -> bool:
        """Whether it is one data set of which each client has a part."""
        return self._whole is not None

    def rows(self, client: int) -> Dataset:
        """Return the rows of a client.

        Raises:
            DataError: Its source is missing, or nothing can be learnt from it.
        """
        if self._whole is None:
            return load(self._sources[client], label=self._label, folder=self._folder)
        return self._whole.take(self._rows[client])
