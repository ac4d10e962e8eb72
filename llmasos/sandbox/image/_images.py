"""The sandbox's images in Docker: one loaded from the tree, or one built on a registry's image."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from llmasos.errors import SandboxError
from llmasos.sandbox.image._pack import RECIPE_LABEL, TREE_LABEL, image_archive
from llmasos.sandbox.image._recipe import LOCK, LOCK_IN_CHECKOUT, dockerfile, recipe_key
from llmasos.sandbox.image._store import Tree
from llmasos.sandbox.image._tree import Progress

if TYPE_CHECKING:
    from docker import DockerClient

# An image that was built on a pulled one carries the name that it was built for.
NAME_LABEL = "llmasos.name"
State = Literal["missing", "own", "current", "outdated"]


@dataclass(frozen=True)
class Image:
    """An image of the sandbox that LLMasOS has made.

    Args:
        id: Docker's name for it.
        tags: The names it has; none when a newer image took them over.
        size: Bytes on the disk.
        tree: The digest of the tree it was made from; empty when it was built on a pulled image.
        recipe: What it was made by.
        built: Seconds since 1970; 0 when the image does not tell.
        containers: How many there are of it.
    """

    id: str
    tags: tuple[str, ...]
    size: int
    tree: str
    recipe: str
    built: float
    containers: int


def image_state(client: DockerClient, name: str) -> State:
    """Return what an image is to this version's recipe; one that we have not made is a person's own."""
    from docker.errors import ImageNotFound

    try:
        image = client.images.get(name)
    except ImageNotFound:
        return "missing"
    if not _is_ours(image):
        return "own"
    return "current" if image.labels[RECIPE_LABEL] == recipe_key() else "outdated"


def load_image(client: DockerClient, tree: Tree, name: str, progress: Progress) -> None:
    """Load the image of a tree under a name.

    Raises:
        SandboxError: The tree was changed since it was built, or Docker refuses the image.
    """
    repository, tag = _split(name)
    progress(f"Handing the image to Docker ({tree.layer.size / 1e6:.0f} MB)")
    # Named afterwards, because Docker notes when an image got its name, and not when it was loaded.
    for image in client.images.load(image_archive(tree.path, tree.layer, tree.recipe)):
        image.tag(repository, tag)


def pull_image(client: DockerClient, name: str, progress: Progress) -> None:
    """Build the Dockerfile on the image that it names by digest, which Docker pulls."""
    from docker.errors import BuildError

    full_name = ":".join(_split(name))
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, data in (("Dockerfile", dockerfile().encode()), (LOCK_IN_CHECKOUT, LOCK.read_bytes())):
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    context.seek(0)
    progress("Pulling Python's image and adding the sandbox's packages")
    try:
        client.images.build(
            fileobj=context,
            custom_context=True,
            tag=full_name,
            labels={RECIPE_LABEL: recipe_key(), NAME_LABEL: full_name},
            rm=True,
            pull=False,
        )
    except BuildError as error:
        raise SandboxError(
            f"The sandbox image cannot be built on the pulled one: {error.msg}.",
            hint="Set LLMASOS_SANDBOX_PULL=false to build it from Debian's packages.",
        ) from error


def images(client: DockerClient) -> list[Image]:
    """Return the sandbox's images, newest first."""
    found = []
    for image in filter(_is_ours, client.images.list(filters={"label": RECIPE_LABEL})):
        containers = client.containers.list(all=True, filters={"ancestor": image.id}, ignore_removed=True)
        found.append(_image(image, len(containers)))
    return sorted(found, key=lambda image: image.built, reverse=True)


def remove_image(client: DockerClient, image: Image) -> bool:
    """Remove an image with all its names, and tell whether Docker did so: others may be built on it."""
    from docker.errors import APIError

    try:
        client.images.remove(image.id, force=True)
    except APIError as error:
        if error.status_code != 409:
            raise
        return False
    return True


def _is_ours(image: Any) -> bool:
    # Labels alone do not tell: an image that a person builds on ours has them, too.
    tree = image.labels.get(TREE_LABEL)
    if tree is not None:
        return bool(image.attrs["RootFS"]["Layers"] == [f"sha256:{tree}"])
    name = image.labels.get(NAME_LABEL)
    return name is not None and (name in image.tags or not image.tags)


def _split(name: str) -> tuple[str, str]:
    if "@" in name:
        raise SandboxError(
            f"The sandbox image {name} is not there, and an image cannot be built to have a given digest.",
            hint=f"Pull it (docker pull {name}), or name another with LLMASOS_SANDBOX_IMAGE.",
        )
    # A colon before a slash is the port of a registry.
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag or "latest"


def _image(image: Any, containers: int) -> Image:
    tagged = str(image.attrs.get("Metadata", {}).get("LastTagTime") or "")
    return Image(
        id=image.id,
        tags=tuple(image.tags),
        size=image.attrs["Size"],
        tree=image.labels.get(TREE_LABEL, ""),
        recipe=image.labels[RECIPE_LABEL],
        built=_seconds(tagged),
        containers=containers,
    )


def _seconds(moment: str) -> float:
    # Docker writes nanoseconds, and the year 1 for "never".
    whole = moment.partition(".")[0]
    if not whole or whole.startswith("0001"):
        return 0.0
    return datetime.fromisoformat(whole.removesuffix("Z") + "+00:00").timestamp()
