"""File operations below the workspace, in a process of their own that can be killed when one hangs."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from .channel import Channel, Frame

UMASK = 0o022
_SKIPPED = {".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv"}
_LARGEST_ANSWER = 900_000  # bytes of JSON, so that it fits into a frame
_LINE = 10_000  # characters of a line that are searched
_SHOWN = 1_000  # characters of a line that are shown


class Refused(Exception):
    """A file operation that cannot be done, with the reason for a person."""


class Found:
    """Entries up to a limit, and how many more there were."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._room = _LARGEST_ANSWER
        self.entries: list[Frame] = []
        self.omitted = 0

    def add(self, entry: Frame) -> None:
        """Take an entry, or count it."""
        self._room -= len(json.dumps(entry))
        if self._left > 0 and self._room >= 0:
            self._left -= 1
            self.entries.append(entry)
        else:
            self.omitted += 1


class Files:
    """File operations below `top`; links that lead out of it are not followed.

    Args:
        top: The workspace.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._operations: dict[str, Callable[..., tuple[Frame, bytes]]] = {
            "read": self.read,
            "write": self.write,
            "list": self.list,
            "search": self.search,
        }

    def serve(self, channel: Channel) -> None:
        """Carry out operations until the supervisor closes the channel."""
        while True:
            frame = channel.receive()
            if frame is None:
                return
            if frame["op"] == "attach":
                os.chdir(self._top)
                continue
            channel.send(*self._answer(frame))

    def _answer(self, frame: Frame) -> tuple[Frame, bytes]:
        arguments: dict[str, Any] = frame["arguments"]
        if frame["op"] == "write":
            arguments["data"] = frame["data"]
        number = frame["id"]
        try:
            done, data = self._operations[frame["op"]](**arguments)
        except Refused as error:
            return {"id": number, "error": str(error)}, b""
        except OSError as error:
            name = os.fsdecode(error.filename or arguments.get("path", ""))
            return {"id": number, "error": "%s: %s" % (self._relative(name), error.strerror)}, b""
        except (ValueError, MemoryError) as error:
            return {"id": number, "error": str(error) or "there is not enough memory"}, b""
        return {"id": number, "done": done}, data

    def read(self, path: str, offset: int, limit: int) -> tuple[Frame, bytes]:
        """Return at most `limit` bytes from `offset` on, and the size of the whole."""
        full = self._resolve(path)
        with os.fdopen(os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            info = os.fstat(file.fileno())
            if stat.S_ISDIR(info.st_mode):
                raise Refused("%s is a folder; use list_files" % path)
            if not stat.S_ISREG(info.st_mode):
                raise Refused("%s is not a regular file" % path)
            file.seek(offset)
            return {"size": info.st_size}, file.read(limit)

    def write(self, path: str, data: bytes) -> tuple[Frame, bytes]:
        """Write a whole file, with the folders above it."""
        full = self._resolve(path)
        if os.path.isdir(full):
            raise Refused("%s is a folder" % path)
        folder = os.path.dirname(full)
        os.makedirs(folder, exist_ok=True)
        try:
            mode = stat.S_IMODE(os.stat(full).st_mode)
        except FileNotFoundError:
            mode = 0o666 & ~UMASK
        number, temporary = tempfile.mkstemp(prefix=".llmasos-", dir=folder)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
            os.chmod(temporary, mode)
            os.replace(temporary, full)
        except BaseException:
            os.unlink(temporary)
            raise
        return {}, b""

    def list(self, path: str, pattern: str, depth: int | None, limit: int) -> tuple[Frame, bytes]:
        """Return files whose name, or path if the pattern has a slash, matches a glob."""
        top = self._resolve(path)
        if not os.path.isdir(top):
            raise Refused("%s is not a folder" % path)
        found = Found(limit)
        for folder, names, files in os.walk(top):
            level = 0 if folder == top else os.path.relpath(folder, top).count("/") + 1
            names[:] = sorted(name for name in names if name not in _SKIPPED)
            for name in sorted(names + files):
                full = os.path.join(folder, name)
                shown = self._relative(full)
                if fnmatch.fnmatch(shown if "/" in pattern else name, pattern):
                    info = os.lstat(full)
                    kind = _kind(info.st_mode)
                    if kind != "folder" or pattern == "*":
                        found.add({"path": shown, "kind": kind, "size": info.st_size})
            if depth is not None and level + 1 >= depth:
                names[:] = []
        return {"entries": found.entries, "omitted": found.omitted}, b""

    def search(self, pattern: str, path: str, glob: str, limit: int) -> tuple[Frame, bytes]:
        """Return lines that match a regular expression."""
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise Refused("the pattern is not a regular expression: %s" % error) from error
        found = Found(limit)
        for full in self._below(self._resolve(path), glob):
            try:
                if not stat.S_ISREG(os.stat(full).st_mode):
                    continue
                with open(full, "rb") as file:
                    if b"\0" in file.read(4096):
                        continue
                    file.seek(0)
                    for number, line in enumerate(file, 1):
                        text = line[:_LINE].decode("utf-8", "replace").rstrip("\r\n")
                        if wanted.search(text):
                            found.add({"path": self._relative(full), "line": number, "text": text[:_SHOWN]})
            except (PermissionError, FileNotFoundError):
                continue
        return {"matches": found.entries, "omitted": found.omitted}, b""

    def _below(self, top: str, glob: str) -> Iterator[str]:
        if not os.path.isdir(top):
            yield top
            return
        for folder, names, files in os.walk(top):
            names[:] = sorted(name for name in names if name not in _SKIPPED)
            for name in sorted(files):
                if fnmatch.fnmatch(name, glob):
                    yield os.path.join(folder, name)

    def _resolve(self, path: str) -> str:
        """Return the real path, refusing what lies outside the workspace."""
        full = os.path.realpath(os.path.join(self._top, path))
        if full != self._top and not full.startswith(self._top + "/"):
            raise Refused("%s lies outside the folder" % path)
        return full

    def _relative(self, full: str) -> str:
        """Return a path as seen from the workspace, or as it is when it lies elsewhere."""
        return full[len(self._top) + 1 :] if full.startswith(self._top + "/") else full


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"
