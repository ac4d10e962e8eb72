"""Data sets of machines that joined a federation, as they are named: `@FEDERATION/NAME`."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.datasets import JOINED
from llmasos.federated.port import FederatedError


def is_joined(source: str) -> bool:
    """Return whether a text names the data set of a machine that joined a federation."""
    return JOINED.fullmatch(source) is not None


def joined_sources(sources: Sequence[str]) -> list[tuple[str, str]]:
    """Return the federation and the name of each machine whose data set is named; nothing for others.

    Raises:
        FederatedError: Some are of a federation and others not, or of another one.
    """
    found = [(match[1], match[2]) for source in sources if (match := JOINED.fullmatch(source))]
    if found and (len(found) < len(sources) or len({federation for federation, _ in found}) > 1):
        raise FederatedError(
            "The data sets are not all of one federation.",
            hint="Name all of them as @FEDERATION/NAME, or none.",
        )
    return found
