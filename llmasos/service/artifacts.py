"""What actions handed out: a browser shows pictures, and only downloads everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from llmasos.agent import Chronicle
from llmasos.errors import UnknownRecordError
from llmasos.events import ArtifactKept
from llmasos.kernel import Kernel
from llmasos.service.openapi import operation

# No SVG and no HTML: these are programs.
_PICTURES = ("image/png", "image/jpeg", "image/gif")
_LARGEST_PICTURE = 4_000_000
_LONGEST_NUMBER = 18
_BYTES = "application/octet-stream"


def is_picture(kept: ArtifactKept) -> bool:
    """Return whether a browser shows an artifact."""
    return kept.media_type in _PICTURES and kept.size <= _LARGEST_PICTURE


class Artifacts:
    """Sends artifacts from where the kernel keeps them.

    Args:
        kernel: The kernel.
        session: Returns the session that a request names, if whoever asks may use it.
    """

    def __init__(self, kernel: Kernel, session: Callable[[Request], Awaitable[Chronicle]]) -> None:
        self._kernel = kernel
        self._session = session

    @operation("Fetch a file that an action handed out.", answer=bytes, media=_BYTES)
    async def send(self, request: Request) -> Response:
        """Send one, named by the number of the event that tells of it.

        Raises:
            UnknownRecordError: There is none, or it is not there any more.
        """
        session = await self._session(request)
        kept = await _kept(session, request.path_params["number"])
        file = await anyio.to_thread.run_sync(self._file, kept) if kept is not None else None
        if kept is None or file is None:
            raise UnknownRecordError(
                "There is no such file.", hint="The session tells what was kept; some may be gone."
            )
        shown = is_picture(kept)
        return FileResponse(
            file,
            # The kernel knows what it is by its first bytes, not by what made it.
            media_type=kept.media_type if shown else _BYTES,
            filename=kept.name,
            content_disposition_type="inline" if shown else "attachment",
        )

    def _file(self, kept: ArtifactKept) -> Path | None:
        """Return the file, if it lies where artifacts are kept."""
        states, file = self._kernel.sessions.states.resolve(), Path(kept.path)
        inside = file.resolve().is_relative_to(states) and file.parent.name == "artifacts"
        return file if inside and file.is_file() and not file.is_symlink() else None


async def _kept(session: Chronicle, number: str) -> ArtifactKept | None:
    if not (number.isascii() and number.isdecimal() and 0 < len(number) <= _LONGEST_NUMBER):
        return None
    after = int(number) - 1
    for event in await session.stream.read(after, types=("artifact_kept",)):
        if isinstance(event, ArtifactKept) and event.seq == after + 1:
            return event
    return None
