"""Choosing the backend: Docker where it answers, else the jail, never neither and never in silence."""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread

from llmasos.config import Settings
from llmasos.errors import SandboxError
from llmasos.paths import private_dir
from llmasos.sandbox import daemon, docker, jail
from llmasos.sandbox.broker.client import overlays_work
from llmasos.sandbox.image import build_image, sandbox_tree
from llmasos.sandbox.landlock import LandlockProvider, landlock_problem
from llmasos.sandbox.port import SandboxProvider, ViewKind

_ANSWER_SECONDS = 2.0


async def choose_provider(
    settings: Settings, progress: Callable[[str], None] | None = None
) -> SandboxProvider:
    """Return the provider that `settings.sandbox` asks for; its `reason` tells why it is this one.

    Args:
        settings: `auto` prefers Docker and builds its image once; a named backend is never replaced.
        progress: Told what is under way while an image is built.

    Raises:
        SandboxError: The backend that was named, or every backend, is missing.
    """
    if settings.sandbox == "landlock":
        problem = landlock_problem()
        if problem:
            raise SandboxError(f"There is no sandbox: {problem}.", hint="Set LLMASOS_SANDBOX=auto.")
        return LandlockProvider(settings, "The settings ask for Landlock.")
    if settings.sandbox == "bubblewrap":
        return await _jail(settings, "The settings ask for bubblewrap.")
    try:
        await anyio.to_thread.run_sync(_prepare, settings, progress or (lambda text: None))
    except SandboxError as error:
        if settings.sandbox == "docker":
            raise
        return await _jail(settings, f"Docker is not used: {error.message}")
    asked = settings.sandbox == "docker"
    return docker.DockerProvider(
        settings,
        "The settings ask for Docker." if asked else "Docker answers.",
        view_kind=await view_kind(settings),
    )


async def docker_problem() -> str:
    """Return what keeps Docker from being used, or nothing."""

    def look() -> str:
        try:
            daemon.connect(_ANSWER_SECONDS).close()
        except SandboxError as error:
            return error.message
        return ""

    return await anyio.to_thread.run_sync(look)


async def view_kind(settings: Settings) -> ViewKind:
    """Return how folders can be shown here: as an overlay, or as a copy where that cannot be mounted."""
    return "overlay" if await overlays_work(private_dir(settings.data_dir)) else "snapshot"


def _prepare(settings: Settings, progress: Callable[[str], None]) -> None:
    from docker.errors import DockerException

    daemon.connect(_ANSWER_SECONDS).close()
    client = daemon.connect(600)
    try:
        build_image(client, settings, progress)
    except (DockerException, OSError) as error:
        raise SandboxError(
            f"The sandbox image cannot be built: {error}.", hint="Set LLMASOS_SANDBOX=bubblewrap."
        ) from error
    finally:
        client.close()


async def _jail(settings: Settings, reason: str) -> jail.JailProvider:
    problems = jail.jail_problems()
    if problems:
        raise SandboxError(
            f"There is no sandbox: {reason} And {', '.join(problems)}.",
            hint="Install bubblewrap (apt-get install bubblewrap), or start Docker.",
        )
    return jail.JailProvider(
        settings,
        f"{reason} {jail.jail_weakness()}".strip(),
        view_kind=await view_kind(settings),
        tree=sandbox_tree(settings),
    )
