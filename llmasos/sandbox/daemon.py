"""The Docker daemon: connecting to it, and removing what sandboxes have left there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmasos.errors import SandboxError
from llmasos.sandbox.broker.cgroup import alive
from llmasos.sandbox.broker.mounts import unmount_all

if TYPE_CHECKING:
    from docker import DockerClient

# Whose a container is: a kernel by its process's number and start, and the data folder it works on, because
# other machines' kernels may share the daemon.
KERNEL, DATA = "llmasos.process", "llmasos.data"
_REMOVE_SECONDS = 30


def connect(seconds: float) -> DockerClient:
    """Return a client of the daemon, which has answered.

    Raises:
        SandboxError: It did not answer within `seconds`.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=int(seconds))
        client.ping()
    except (DockerException, OSError) as error:
        raise SandboxError(
            "Docker does not answer.", hint="Start it, or set LLMASOS_SANDBOX=bubblewrap."
        ) from error
    return client


def sweep_daemon(client: DockerClient, data: str, runtime: Path) -> None:
    """Remove what dead kernels of a data folder, and of a runtime folder, have left."""
    wanted = {"label": f"{DATA}={data}"}
    for container in client.containers.list(all=True, filters=wanted):
        if not alive(container.labels[KERNEL]):
            remove(container)
    for volume in client.volumes.list(filters=wanted):
        if not alive(volume.attrs["Labels"][KERNEL]):
            with contextlib.suppress(Exception):
                volume.remove(force=True)
    for stage in runtime.glob("stage-*"):
        if not alive(stage.name):
            unmount_all(str(stage))
            # Never a recursive removal: a mount that stayed must not be emptied.
            with contextlib.suppress(OSError):
                stage.rmdir()


def remove_all(client: DockerClient, labels: dict[str, str]) -> None:
    """Remove the containers and volumes with these labels."""
    wanted = {"label": [f"{key}={value}" for key, value in labels.items()]}
    for container in client.containers.list(all=True, filters=wanted):
        remove(container)
    for volume in client.volumes.list(filters=wanted):
        with contextlib.suppress(Exception):
            volume.remove(force=True)


def remove(container: Any) -> None:
    """End a container, and wait until it is gone."""
    from docker.errors import DockerException

    with contextlib.suppress(DockerException):
        container.kill()
    with contextlib.suppress(DockerException):
        container.remove(force=True)
    # With auto_remove the daemon may be faster; the mount is free only when the container is gone.
    with contextlib.suppress(DockerException, OSError):
        container.wait(condition="removed", timeout=_REMOVE_SECONDS)
