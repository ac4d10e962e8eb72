"""The boards of federated trainings: all of them, and one with its curves."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from markupsafe import Markup
from starlette.requests import Request

from llmasos.federated.folder import RunFolder
from llmasos.federated.port import UnknownRun
from llmasos.kernel import Kernel
from llmasos.service.access import Access
from llmasos.service.federated import info_of, sees


class RunBoards:
    """What is shown of trainings to those who may see them.

    Args:
        kernel: The kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def all(self, request: Request) -> dict[str, Any]:
        """Return every training, the newest first."""
        runs, access = self._kernel.runs, request.state.access
        found = await anyio.to_thread.run_sync(runs.all)
        return {"runs": [info_of(one) for one in reversed(found) if sees(access, runs.owner(one.id))]}

    async def one(self, request: Request) -> dict[str, Any]:
        """Return one training, with its rounds and its curves as SVG."""
        name: str = request.path_params["id"]
        access: Access | None = request.state.access
        if not sees(access, self._kernel.runs.owner(name)):
            raise UnknownRun(f"There is no run {name}.", hint="The page of trainings lists them.")
        run = self._kernel.runs.get(name)
        story, curves = await anyio.to_thread.run_sync(_drawn, RunFolder(run.folder))
        return {"run": info_of(run.status()), "rounds": story.rounds[::-1], "curves": curves}


def _drawn(folder: RunFolder) -> tuple[Any, Markup]:
    from llmasos.federated.report.chart import charts
    from llmasos.federated.report.story import story_of

    story = story_of(folder)
    # It escapes the names in it itself.
    return story, Markup(charts(story))  # noqa: S704
