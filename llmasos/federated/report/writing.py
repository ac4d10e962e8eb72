"""Writing a run's report into its folder."""

from __future__ import annotations

from llmasos.federated.events import RunEnded
from llmasos.federated.folder import RunFolder, write_whole
from llmasos.federated.report.card import card
from llmasos.federated.report.page import page
from llmasos.federated.report.story import story_of


def write_report(folder: RunFolder, ended: RunEnded | None = None) -> None:
    """Write `report.html` and `card.md` among a run's results; neither takes long.

    Args:
        folder: The run's folder, which is all that is needed: it can be written again at any time.
        ended: How the run ends, where that is not told yet.

    Raises:
        FederatedError: The folder has no plan.
    """
    story = story_of(folder, ended)
    folder.results.mkdir(exist_ok=True)
    write_whole(folder.results / "report.html", page(story))
    write_whole(folder.results / "card.md", card(story))
