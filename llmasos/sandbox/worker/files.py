"""File operations below the workspace, in a process of their own that can be killed when one hangs."""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from .channel import Channel, Frame

UMASK = 0o022
_SKIPPED = {".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv"}
_LARGEST_ANSWER = 900_000  # bytes of JSON, so that it fits into a frame
_MOST_SCANNED = 1_000_000
_LINE = 10_000  # characters of a line that are searched
_SHOWN = 1_000  # characters of a line that are shown


class Refused(Exception):
    """A file operation that cannot be done, with the reason for a person and for errno(3)."""

    def __init__(self, message: str, number: int = errno.EINVAL) -> None:
        super().__init__(message)
        self.errno = number


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
            "stat": self.stat,
            "scan": self.scan,
            "make_folder": self.make_folder,
            "remove": self.remove,
            "realpath": self.realpath,
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
            return {"id": number, "error": str(error), "errno": error.errno}, b""
        except OSError as error:
            # What was opened by its descriptor has a number for a name.
            named = isinstance(error.filename, (str, bytes))
            name = os.fsdecode(error.filename if named else arguments.get("path", ""))
            reason = "%s: %s" % (self._relative(name), error.strerror)
            return {"id": number, "error": reason, "errno": error.errno}, b""
        except (ValueError, MemoryError) as error:
            return {"id": number, "error": str(error) or "there is not enough memory"}, b""
        return {"id": number, "done": done}, data

    def read(self, path: str, offset: int, limit: int) -> tuple[Frame, bytes]:
        """Return at most `limit` bytes from `offset` on, and the size of the whole."""
        full = self._resolve(path)
        with os.fdopen(os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            info = os.fstat(file.fileno())
            if stat.S_ISDIR(info.st_mode):
                raise Refused("%s is a folder; use list_files" % path, errno.EISDIR)
            if not stat.S_ISREG(info.st_mode):
                raise Refused("%s is not a regular file" % path)
            file.seek(offset)
            return {"size": info.st_size}, file.read(limit)

    def write(self, path: str, data: bytes) -> tuple[Frame, bytes]:
        """Write a whole file, with the folders above it."""
        full = self._resolve(path)
        if os.path.isdir(full):
            raise Refused("%s is a folder" % path, errno.EISDIR)
        folder = os.path.dirname(full)
        try:
            os.makedirs(folder, exist_ok=True)
        except FileExistsError:
            raise Refused("%s is not a folder" % self._relative(folder), errno.ENOTDIR) from None
        try:
            info = os.stat(full)
        except FileNotFoundError:
            mode = 0o666 & ~UMASK
        else:
            mode = stat.S_IMODE(info.st_mode)
            if not stat.S_ISREG(info.st_mode):
                raise Refused("%s is not a regular file" % path)
            # Replacing a file takes no right to write it; its owner has said that it stays.
            if not os.access(full, os.W_OK):
                raise Refused("%s is write-protected" % path, errno.EACCES)
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

    def stat(self, path: str) -> tuple[Frame, bytes]:
        """Return what a path is, with links followed."""
        full = self._resolve(path)
        return self._describe(full, os.stat(full)), b""

    def scan(self, path: str) -> tuple[Frame, bytes]:
        """Return what lies in a folder, with links followed where they lead somewhere."""
        found = Found(_MOST_SCANNED)
        with os.scandir(self._resolve(path)) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                try:
                    info = entry.stat()
                except OSError:
                    info = entry.stat(follow_symlinks=False)
                found.add(self._describe(entry.path, info))
        if found.omitted:
            raise Refused("%s holds too many files to be listed at once" % path, errno.EOVERFLOW)
        return {"entries": found.entries}, b""

    def make_folder(self, path: str) -> tuple[Frame, bytes]:
        """Make a folder with the folders above it."""
        os.makedirs(self._resolve(path), exist_ok=True)
        return {}, b""

    def remove(self, path: str) -> tuple[Frame, bytes]:
        """Remove a file, a link itself, or a folder with everything in it."""
        folder, name = os.path.split(os.path.normpath(os.path.join(self._top, path)))
        full = os.path.join(self._resolve(folder), name)
        if os.path.isdir(full) and not os.path.islink(full):
            if full == self._top:
                raise Refused("the workspace itself cannot be removed")
            shutil.rmtree(full)
        else:
            os.unlink(full)
        return {}, b""

    def realpath(self, path: str) -> tuple[Frame, bytes]:
        """Return the absolute path with links resolved, wherever it leads."""
        return {"path": os.path.realpath(os.path.join(self._top, path))}, b""

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
                    entry = self._describe(full, os.lstat(full))
                    if entry["kind"] != "folder" or pattern == "*":
                        found.add(entry)
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
                if os.path.islink(full) and not self._inside(os.path.realpath(full)):
                    continue
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
            except OSError:
                # Such as one that may not be read, is gone by now, or is a link that leads to itself.
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
        if not self._inside(full):
            raise Refused("%s lies outside the folder" % path, errno.EACCES)
        return full

    def _inside(self, full: str) -> bool:
        """Return whether a real path is the workspace or below it."""
        return full == self._top or full.startswith(self._top + "/")

    def _describe(self, full: str, info: os.stat_result) -> Frame:
        """Return a path as listings show it."""
        return {"path": self._relative(full), "kind": _kind(info.st_mode), "size": info.st_size}

    def _relative(self, full: str) -> str:
        """Return a path as seen from the workspace, or as it is when it lies elsewhere."""
        return full[len(self._top) + 1 :] if full.startswith(self._top + "/") else full


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"
