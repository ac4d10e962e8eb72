"""The sandbox's image and its tree: built without an image registry, the same for Docker and the jail."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from llmasos.config import Settings
from llmasos.sandbox.image._images import image_state, load_image, pull_image
from llmasos.sandbox.image._recipe import LOCK
from llmasos.sandbox.image._store import Tree, TreeStore
from llmasos.sandbox.image._tree import Progress

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["Progress", "Tree", "build_image", "build_tree", "packages_inside", "sandbox_tree"]


def sandbox_tree(settings: Settings) -> Path | None:
    """Return the tree that a jail can take as its root, or None when it is not built yet; this is cheap."""
    tree = TreeStore(settings).current()
    return None if tree is None else tree.path


def packages_inside() -> tuple[str, ...]:
    """Return the names of the Python packages that the tree and the image have."""
    return tuple(dict.fromkeys(re.findall(r"(?m)^([\w.-]+)==", LOCK.read_text())))


def build_tree(settings: Settings, progress: Progress, *, again: bool = False) -> Tree:
    """Build the sandbox's tree where it is missing; a root is not needed.

    Args:
        settings: Where the cache lies.
        progress: Told what is under way, with amounts where they are known.
        again: Build it even if it is there, with the packages of today.

    Raises:
        SandboxError: A tool, a package, a wheel or room on the disk is missing.
    """
    return TreeStore(settings).build(progress, again=again)


def build_image(
    client: DockerClient, settings: Settings, progress: Progress, *, replace: bool = False
) -> None:
    """Have Docker hold the image that `sandbox_image` names, building it where it is missing or out of date.

    An image without our label is a person's own, and is never replaced. Where `sandbox_pull` is true, the
    image is built on one of a registry, else from the tree.

    Args:
        client: Talks to Docker.
        settings: The image's name, and where the cache lies.
        progress: Told what is under way, with amounts where they are known.
        replace: Make it anew even if it is there and up to date.

    Raises:
        SandboxError: It cannot be built.
    """
    state = image_state(client, settings.sandbox_image)
    if state == "own" or (state == "current" and not replace):
        return
    if settings.sandbox_pull:
        pull_image(client, settings.sandbox_image, progress)
    else:
        load_image(client, build_tree(settings, progress), settings.sandbox_image, progress)
