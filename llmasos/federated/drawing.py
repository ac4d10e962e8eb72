"""The drawing of a run's curves, in a process of its own that is ended when it takes too long."""

from __future__ import annotations

import sys

from llmasos.federated.folder import RunFolder
from llmasos.federated.local.workers import Workers
from llmasos.federated.report.curves import FILE, draw_curves


class Drawer:
    """Draws a run's curves.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._workers = Workers(lambda _: draw_curves(folder), 1, ready=_load)

    def begin(self) -> None:
        """Load what it draws with, while something else goes on."""
        self._workers.warm()

    def draw(self, seconds: float) -> None:
        """Draw, or say on the standard error why there is no picture.

        Args:
            seconds: How long it may take.
        """
        # What is there may be of rounds before these.
        (self._folder.results / FILE).unlink(missing_ok=True)
        for _, answer in self._workers.run([None], seconds):
            if answer.failure:
                sys.stderr.write(f"The curves could not be drawn: {answer.failure}.\n")

    def close(self) -> None:
        """End its process."""
        self._workers.close()


def _load() -> None:
    import matplotlib.backends.backend_agg
    import matplotlib.figure
    import matplotlib.ticker  # noqa: F401
