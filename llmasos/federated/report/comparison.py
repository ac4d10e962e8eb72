"""The comparison with the same model trained centrally, kept beside the other results."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from llmasos.federated.folder import RunFolder, write_whole

_FILE = "comparison.json"


class Comparison(BaseModel):
    """How well the same recipe does when it is trained on all clients' rows in one place.

    Args:
        missing: Why there is no comparison; empty where there is one.
        passes: Over the rows: as many as the clients made, by rounds, epochs and the share that was asked.
        rows: That it was trained on.
        held: Rows that it was evaluated on: those that the clients hold out.
        loss: Mean over the rows that are held out.
        accuracy: From 0 to 1.
        seconds: That its training took.
    """

    model_config = ConfigDict(frozen=True)

    missing: str = ""
    passes: int = 0
    rows: int = 0
    held: int = 0
    loss: float | None = None
    accuracy: float | None = None
    seconds: float = 0.0


def keep(folder: RunFolder, comparison: Comparison) -> None:
    """Keep a comparison among a run's results."""
    folder.results.mkdir(exist_ok=True)
    write_whole(folder.results / _FILE, comparison.model_dump_json(indent=1))


def kept(folder: RunFolder) -> Comparison:
    """Return the comparison of a run, or why there is none."""
    try:
        return Comparison.model_validate_json((folder.results / _FILE).read_text())
    except (OSError, ValidationError):
        return Comparison(missing="it was not made")
