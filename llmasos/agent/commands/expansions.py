"""Expansions of variables in bash, where it is known what they hold, or which names that matches."""

from __future__ import annotations

import posixpath
import re

from .paths import normalise

_WILD = re.compile(r"[*?\[]")
_ITEM = re.compile(r"[\w./][\w./-]*")
_GLOB = re.compile(r"(?!-)[\w./*?\[\]!^-]+")
# Hidden names, among which are those of the folder itself and of the one above it.
_HIDDEN = re.compile(r"(?:^|/)\.[^/]*[*?\[]")
_SETTINGS = re.compile(r"dotglob|nocaseglob")
_CUT = re.compile(r"\$\{\w+%\.(\w+|\*)\}")
_BASE = re.compile(r"\$\{\w+##\*/\}")
_FOLDER = re.compile(r"\$\{\w+%/\*\}")
_BEFORE = re.compile(r"\$\{\w+#([\w./-]*/)\}")
_REPLACED = re.compile(r"\$\{\w+//?([\w. -]+)/([\w.-]*\w[\w.-]*)\}")
_CASE = re.compile(r"\$\{\w+(,,|\^\^)\}")


class Matched(str):
    """A glob, as the value of a variable that holds one name which it matches."""


def looped(text: str, whole: str) -> str | None:
    """Return what the variable of a loop holds when a word of the loop is reached; None when it is not known.

    Args:
        text: The word.
        whole: The text of the loop, and of what may change what globs match.
    """
    if _ITEM.fullmatch(text):
        return text
    outside = normalise(text)[1] or ".." in text.split("/")
    if not _GLOB.fullmatch(text) or _HIDDEN.search(text) or outside or _SETTINGS.search(whole):
        return None
    return Matched(text)


def expand(text: str, value: str) -> str | None:
    """Return what an expansion of a variable becomes; None when it is not known.

    Args:
        text: How it is written.
        value: What the variable holds.
    """
    made = _expanded(text, value)
    return Matched(made) if made is not None and isinstance(value, Matched) else made


def _expanded(text: str, value: str) -> str | None:
    folder, name = posixpath.split(value)
    ending = re.search(r"[^./\]]\.(\w+)$", value)
    if re.fullmatch(r"\$\w+|\$\{\w+\}", text):
        return value
    if match := _CUT.fullmatch(text):
        return value[: -len(ending[1]) - 1] if ending and match[1] in {"*", ending[1]} else None
    if _BASE.fullmatch(text):
        return name or None
    if _FOLDER.fullmatch(text):
        return folder or None
    if match := _BEFORE.fullmatch(text):
        return value.removeprefix(match[1]) if value.startswith(match[1]) and value != match[1] else None
    if match := _REPLACED.fullmatch(text):
        return _replaced(folder, name, match[1], match[2])
    if match := _CASE.fullmatch(text):
        if "[" in value or not value.isascii():
            return None
        return value.lower() if match[1] == ",," else value.upper()
    return None


def _replaced(folder: str, name: str, old: str, new: str) -> str | None:
    """Return where a name lies of which a part is replaced, which may be any name in its folder."""
    hides = new.startswith(".") and not old.startswith(".")
    if hides or old in folder or _WILD.search(folder) or not _WILD.search(name):
        return None
    return posixpath.join(folder, "*")
