"""One side of a change: a path as the folder or the view has it."""

from __future__ import annotations

import os
import stat
import struct

from llmasos.sandbox.workspace.files import digest, user_xattrs
from llmasos.sandbox.workspace.opening import lstat, open_file, read_link

LARGEST_TEXT = 400_000
_HEAD = 64 << 10


class Side:
    """A path on one side of the diff.

    Args:
        root: The folder, or the view's version of it.
        path: The path below it.

    Raises:
        FileNotFoundError: It is not there.
    """

    def __init__(self, root: str, path: str) -> None:
        self._root = root
        self._path = path
        info = lstat(root, path)
        if info is None:
            raise FileNotFoundError(path)
        self.mode = stat.S_IMODE(info.st_mode)
        self.size = info.st_size
        names = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "symbolic link"))
        self.kind = next((name for test, name in names if test(info.st_mode)), "special file")
        self._text: str | None = None
        self._read = False

    def text(self) -> str | None:
        """Return the text, or None when this is no text or too much of it."""
        if not self._read:
            self._read = True
            self._text = self._find_text()
        return self._text

    def _find_text(self) -> str | None:
        if self.kind == "symbolic link":
            return read_link(self._root, self._path) + "\n"
        if self.kind != "file" or self.size > LARGEST_TEXT:
            return None
        data = self.data(LARGEST_TEXT)
        if b"\0" in data:
            return None
        try:
            return data.decode()
        except UnicodeDecodeError:
            return None

    def data(self, most: int) -> bytes:
        """Return the beginning of a file; nothing when it cannot be read."""
        try:
            with open_file(self._root, self._path) as file:
                return file.read(most)
        except OSError:
            return b""

    def digest(self) -> str:
        """Return the SHA-256 of a file's content, or nothing when it cannot be read."""
        try:
            return digest(self._root, self._path)
        except OSError:
            return ""

    def xattrs(self) -> dict[str, str]:
        """Return the extended attributes that users set."""
        return user_xattrs(os.path.join(self._root, self._path))

    def picture(self) -> str:
        """Return a picture's format and size in pixels; nothing when this is no picture."""
        return picture(self.data(_HEAD)) if self.kind == "file" else ""


def picture(head: bytes) -> str:
    """Return the format of a picture, with its width and height where its first bytes tell them."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _sized("PNG", head[16:24], ">II")
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _sized("GIF", head[6:10], "<HH")
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP picture"
    return ""


def _sized(name: str, data: bytes, form: str) -> str:
    try:
        width, height = struct.unpack(form, data)
    except struct.error:
        return f"{name} picture"
    return f"{name} picture of {width} × {height}"


def _jpeg(head: bytes) -> str:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return f"JPEG picture of {width} × {height}"
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return "JPEG picture"
