"""The end of a run: it is told when its results are in the folder, and it is told once."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable

from llmasos.federated.checkpoints import newest
from llmasos.federated.drawing import Drawer
from llmasos.federated.events import EndState, RunEnded, RunEvent
from llmasos.federated.folder import RunFolder
from llmasos.federated.report import Comparison, comparison, write_report
from llmasos.federated.weights import save_weights, weights_sha256

_ELSEWHERE = "the clients' rows are on other machines, and never come together"
_DRAWING_SECONDS, _HASTY_SECONDS = 60.0, 2.0


class Ending:
    """Tells what a run tells, but keeps its end back until model and report are there.

    Args:
        folder: The run's folder.
        more: Called when there is more to read in it.
        drawer: Draws its curves.

    Attributes:
        ended: How the run ends; None before that is known.
        compared: The comparison with central training; None where none was made.
    """

    def __init__(self, folder: RunFolder, more: Callable[[], object], drawer: Drawer | None = None) -> None:
        self._folder = folder
        self._more = more
        self._drawer = drawer or Drawer(folder)
        self.ended: RunEnded | None = None
        self.compared: Comparison | None = None

    def tell(self, *events: RunEvent) -> None:
        """Tell events, but keep the end back."""
        for event in events:
            if isinstance(event, RunEnded):
                self.ended = event
        if told := [event for event in events if not isinstance(event, RunEnded)]:
            self._folder.tell(*told)
            self._more()

    def end(self, state: EndState, reason: str) -> None:
        """End the run, if it has not ended, with what its newest checkpoint holds."""
        if self.ended is None:
            kept = newest(self._folder)
            done, sha256 = (kept.round, weights_sha256(kept.weights)) if kept else (0, "")
            self.ended = RunEnded(
                run=self._folder.id, state=state, rounds=done, reason=reason, weights_sha256=sha256
            )

    def draw(self, *, hasty: bool = False) -> None:
        """Draw the curves.

        Args:
            hasty: Whether somebody waits for the run to stop.
        """
        if self.compared is not None:
            comparison.keep(self._folder, self.compared)
        self._drawer.draw(_HASTY_SECONDS if hasty else _DRAWING_SECONDS)

    def close(self) -> None:
        """Write the model and the report, and tell the end; SIGTERM comes too late for this."""
        self._drawer.close()
        if self.ended is None:
            return
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            self._write(self.ended)
        except Exception:  # a report that cannot be written does not take the run's end with it
            traceback.print_exc()
        self._folder.tell(self.ended)
        self._more()
        signal.signal(signal.SIGTERM, before)

    def _write(self, ended: RunEnded) -> None:
        self._folder.results.mkdir(exist_ok=True)
        if kept := newest(self._folder):
            save_weights(self._folder.results / "model.safetensors", kept.weights)
        comparison.keep(self._folder, self.compared or Comparison(missing=self._missing(ended)))
        write_report(self._folder, ended)

    def _missing(self, ended: RunEnded) -> str:
        if self._folder.plan.backend == "deployment":
            return _ELSEWHERE
        if ended.state in ("stopped", "failed"):
            return f"the run {'was stopped' if ended.state == 'stopped' else 'failed'}"
        return "somebody stopped the run while it was made"
