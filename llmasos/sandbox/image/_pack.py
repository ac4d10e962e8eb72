"""Packing a tree as an image that `docker load` takes, so that one tree has one digest and one image id."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmasos.errors import SandboxError

RECIPE_LABEL = "llmasos.recipe"
TREE_LABEL = "llmasos.tree"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# An image has to say when it was made; the same inputs must give the same bytes.
_CREATED = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Layer:
    """What a tree is as a tar archive: its SHA-256 and its size in bytes."""

    digest: str
    size: int


def measure(tree: Path) -> Layer:
    """Return the digest of a tree, over names, kinds, modes and contents."""
    digest, size = hashlib.sha256(), 0
    for piece in _layer(tree):
        digest.update(piece)
        size += len(piece)
    return Layer(digest.hexdigest(), size)


def image_config(layer: Layer, recipe: str) -> bytes:
    """Return the configuration of a tree's image; its SHA-256 is the image's id."""
    machine = platform.machine()
    config = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": _CREATED,
        "config": {
            "Cmd": ["/usr/bin/python3"],
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8"],
            "WorkingDir": "/workspace",
            "Labels": {RECIPE_LABEL: recipe, TREE_LABEL: layer.digest},
        },
        "history": [{"created": _CREATED, "created_by": "llmasos sandbox build"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}"]},
    }
    return json.dumps(config, sort_keys=True).encode()


def image_archive(tree: Path, layer: Layer, recipe: str) -> Iterator[bytes]:
    """Yield the archive that `docker load` takes, without a copy on the disk.

    Args:
        tree: The tree.
        layer: What `measure` said about it.
        recipe: Goes onto the image's label.

    Raises:
        SandboxError: The tree is not the one that was measured.
    """
    config = image_config(layer, recipe)
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": None, "Layers": [f"{layer.digest}/layer.tar"]}]
    yield _header(f"{layer.digest}/layer.tar", layer.size)
    digest, size = hashlib.sha256(), 0
    for piece in _layer(tree):
        digest.update(piece)
        size += len(piece)
        yield piece
    if (digest.hexdigest(), size) != (layer.digest, layer.size):
        raise SandboxError(
            f"The sandbox's tree {tree} was changed after it was built.",
            hint="Build it again: llmasos sandbox build --again",
        )
    yield _padding(size)
    for path, data in ((f"{name}.json", config), ("manifest.json", json.dumps(manifest).encode())):
        yield _header(path, len(data)) + data + _padding(len(data))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _layer(tree: Path) -> Iterator[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in _walk(tree):
            member = tar.gettarinfo(path, str(path.relative_to(tree)))
            if member is None or not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
                continue
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = "root"
            member.mode = 0o777 if member.issym() else member.mode & 0o1777
            if member.isfile():
                with path.open("rb") as file:
                    tar.addfile(member, file)
            else:
                tar.addfile(member)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
