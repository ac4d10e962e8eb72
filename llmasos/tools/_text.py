"""Bytes of a file as text, where they are text, and what has changed in one."""

from __future__ import annotations

import difflib

from llmasos.errors import ToolError

_NOT_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")


def decode(data: bytes, path: str, *, partial: bool = False) -> str:
    """Return the text of a file in UTF-8, UTF-16 with a mark, GB18030, or Windows' Western European.

    Args:
        data: The bytes.
        path: Names the file in the error.
        partial: The last character may be cut.

    Raises:
        ToolError: The bytes are not text.
    """
    encoding = encoding_of(data, path, partial=partial)
    if not partial:
        return data.decode(encoding, errors="replace")
    return data.decode(encoding, errors="ignore")


def encoding_of(data: bytes, path: str, *, partial: bool = False) -> str:
    """Return the name of the encoding that `decode` finds.

    Raises:
        ToolError: The bytes are not text.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in data:
        raise ToolError(f"{path} is a binary file of at least {len(data):,} bytes, not text.")
    for encoding in ("utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8", "gb18030"):
        for cut in range(4 if partial else 1):
            try:
                text = data[: len(data) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
            if encoding != "gb18030" or _is_chinese(text):
                return encoding
    # What it has no letters for is a control character in Latin-1, and no file is both.
    return "latin-1" if set(data) & _NOT_IN_CP1252 else "cp1252"


def _is_chinese(text: str) -> bool:
    """Return whether most signs are common ones: an umlaut and the letter after it make a rare one."""
    signs = [sign for sign in text if not sign.isascii()]
    return len("".join(signs).encode("gb2312", "ignore")) > len(signs)


def unified(path: str, before: str | None, after: str) -> str:
    """Return the unified diff between two texts of a file; None before one that is made."""
    old = "/dev/null" if before is None else f"a/{path}"
    lines = difflib.unified_diff(
        (before or "").splitlines(keepends=True), after.splitlines(keepends=True), old, f"b/{path}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
