"""Work in a real view, started as a program of its own: it prints what was seen, and what came of it.

Arguments: the backend, the folder that holds everything, and the kind of view.
"""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio

from llmasos.config import HIDDEN
from llmasos.errors import ToolError, WorkspaceError
from llmasos.sandbox import DockerProvider, JailProvider, Sandbox, SandboxProvider, Workspace
from llmasos.sandbox.port import ViewKind
from tests.integration.sandbox.places import Place
from tests.sandbox.conftest import fill, tree

SECRETS = (".env", "deep/down/server.key", ".ssh/config", "conf/.env")
LOOK = """
import pathlib, subprocess
found = [str(path) for path in sorted(pathlib.Path().rglob("*"))]
read = subprocess.run("cat .env deep/down/server.key .ssh/config conf/.env", shell=True, capture_output=True)
shown = subprocess.run("find . -type f; ls -A . deep/down conf", shell=True, capture_output=True)
found, read.stdout + shown.stdout
"""
FILES: dict[str, bytes | str] = {
    "big": b"0" * 100_000,
    "changed": "one\n",
    "empty/gone": "gone\n",
    "file": "file\n",
    "folder/a": "a\n",
    "folder/b": "b\n",
    "mode": "mode\n",
    "noted": "noted\n",
    "guarded/deep/x": "x\n",
    "opaque/new": "old\n",
    "opaque/old": "old\n",
    "shared": "shared\n",
}
EDITS = r"""
import os, shutil, socket
open(b"line\n\xff", "wb").write(b"odd")
open("changed", "a").write("two\n")
os.remove("file"); os.makedirs("file/inner"); open("file/inner/x", "w").write("x\n")
shutil.rmtree("folder"); open("folder", "w").write("now a file\n")
shutil.rmtree("opaque"); os.mkdir("opaque"); open("opaque/new", "w").write("new\n")
shutil.rmtree("empty")
open("first", "w").write("one file\n"); os.link("first", "second")
os.link("shared", "shared too")
os.truncate("big", 0); os.truncate("big", 1 << 26)
with open("big", "r+b") as file:
    file.seek(1 << 25); file.write(b"middle")
os.symlink("/etc/passwd", "absolute"); os.symlink("no\nwhere", "dangling")
os.setxattr("noted", "user.note", b"n")
os.chmod("mode", 0o640); os.mkdir("dir", 0o700); os.chmod("dir", 0o711)
os.mkfifo("pipe"); socket.socket(socket.AF_UNIX).bind("socket")
for number, name in enumerate(("changed", "first", "folder", "dangling")):
    os.utime(name, ns=(0, 10**9 * (number + 1) + 5), follow_symlinks=False)
"""
BACK = r"""
import os, shutil
shutil.rmtree("file"); open("file", "w").write("file again\n")
os.remove("folder"); os.mkdir("folder"); open("folder/a", "w").write("a\n")
"""


def fill_guarded(folder: Path) -> None:
    """Write the files, some in a folder that its owner may not write to."""
    fill(folder, FILES)
    (folder / "guarded").chmod(0o555)


async def secrets(provider: SandboxProvider, place: Place) -> dict[str, Any]:
    """Look for secrets, with and without leave, and write where they lie."""
    files: dict[str, bytes | str] = dict.fromkeys(SECRETS, "SECRET\n")
    fill(place.folder, files | {"conf/a": "a\n", "deep/down/b": "b\n"})
    space = Workspace.open(place.folder, place.base / "data/secrets", hidden=HIDDEN)
    seen: dict[str, Any] = {}
    async with opened(provider, space) as sandbox:
        seen["found"] = (await sandbox.run_python(LOOK, timeout=20)).result
        seen["listed"] = [entry.path for entry in (await sandbox.list()).entries]
        seen["matched"] = [match.path for match in (await sandbox.search("SECRET|^b")).matches]
        seen["read"] = [await errors(sandbox, path) for path in SECRETS]
    granting = space.granting(["*"])
    async with opened(provider, granting) as sandbox:
        seen["granted"] = [(await sandbox.read(path)).data.decode() for path in SECRETS]
    space = granting.granting([])
    async with opened(provider, space) as sandbox:
        await sandbox.run_command(
            "rm -rf conf; echo mine > .env; mkdir -p .ssh; echo mine > .ssh/config", timeout=20
        )
    seen["diff"] = {
        change.path: (change.kind, change.detail, change.diff) for change in (await space.diff())[0]
    }
    try:
        await space.commit([".env"])
    except WorkspaceError as error:
        seen["refused"] = error.message
    seen["left"] = (await space.commit()).left
    seen["kept"] = [(place.folder / path).read_text() for path in SECRETS]
    seen["beside"] = sorted(path.name for path in (place.folder / "conf").iterdir())
    return seen


async def edits(provider: SandboxProvider, place: Place) -> dict[str, Any]:
    """Edit a folder in every way, twice, and take all of it back."""
    fill_guarded(place.folder)
    space = Workspace.open(place.folder, place.base / "data/edits", hidden=HIDDEN)
    before = facts(place.folder)
    seen: dict[str, Any] = {}
    for name, code in (("edits", EDITS), ("back", BACK)):
        async with opened(provider, space) as sandbox:
            done = await sandbox.run_python(code, timeout=60)
            assert done.status == "ok", done
        changes = (await space.diff())[0]
        seen[name] = {
            "kinds": {change.path: (change.kind, change.detail) for change in changes},
            "texts": "".join(change.diff for change in changes),
            "left": (await space.commit()).left,
            "folder": facts(place.folder),
        }
    seen["sparse"] = (place.folder / "big").stat().st_blocks < 100
    for _ in space.history():
        await space.undo()
    seen["undone"] = facts(place.folder) == before
    for folder in place.base.rglob("guarded"):
        folder.chmod(0o755)
    return seen


@asynccontextmanager
async def opened(provider: SandboxProvider, space: Workspace) -> AsyncIterator[Sandbox]:
    sandbox = await provider.open(await space.view(provider.view_kind), session="visit")
    try:
        yield sandbox
    finally:
        await sandbox.close()


async def errors(sandbox: Sandbox, path: str) -> str:
    try:
        return (await sandbox.read(path)).data.decode()
    except ToolError as error:
        return type(error).__name__


def facts(folder: Path) -> dict[str, list[Any]]:
    """Return all that is in a folder, contents by their hashes, with times that were set to the past."""
    found: dict[str, list[Any]] = {}
    for name, known in tree(folder).items():
        info = (folder / name).lstat()
        old = info.st_mtime_ns if info.st_mtime_ns < 10**11 and not stat.S_ISDIR(info.st_mode) else 0
        plain = [
            hashlib.sha256(fact).hexdigest() if isinstance(fact, bytes) else repr(fact)
            for fact in cast(tuple[object, ...], known)
        ]
        found[name] = [*plain, old]
    return found


async def main(backend: str, base: str, kind: ViewKind) -> None:
    place = Place(Path(base))
    settings = place.settings()
    provider = (
        DockerProvider(settings, view_kind=kind)
        if backend == "docker"
        else JailProvider(settings, view_kind=kind)
    )
    try:
        seen = {"secrets": await secrets(provider, place)}
        for path in place.folder.iterdir():
            path.rename(place.base / f"aside-{path.name}")
        seen["edits"] = await edits(provider, place)
    finally:
        await provider.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], cast(ViewKind, sys.argv[3]))
