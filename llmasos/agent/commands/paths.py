"""One spelling for each path, and whether it leads out of the folder."""

from __future__ import annotations

import posixpath
import re
import unicodedata

from llmasos.display import display_name

ROOT = "/workspace"
_SCRATCH = "/tmp"  # noqa: S108 - a path inside the sandbox
_HOMES = ("$HOME", "${HOME}", "~")
_HERE = ("$PWD", "${PWD}", "~+")
# What is drawn like the signs that part a path and begin an ending, and strokes that lie over what is before.
_SIGNS = re.compile("[\uff0f\uff3c\uff0e\ufe52\u0338\u0337]")
# Spaces that some systems and keyboards put into names.
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f]")


def normalise(path: str, cwd: str = "") -> tuple[str, bool]:
    """Return a path's spelling from the folder on, and whether it leads out of the folder.

    Links are not followed. What lies in the sandbox's own `/tmp` stays as it is, and is not outside.

    Args:
        path: A path as a command has it.
        cwd: Where the command runs, from the folder on.
    """
    path = unicodedata.normalize("NFC", path)
    for home in _HOMES:
        if path == home or path.startswith(home + "/"):
            return _below_home("~" + path[len(home) :]), True
    for here in _HERE:
        if path == here or path.startswith(here + "/"):
            path = "." + path[len(here) :]
    if path.startswith("~"):
        return _below_home(path), True
    if not path.startswith("/"):
        if cwd.startswith("~"):
            return _below_home(f"{cwd}/{path}"), True
        path = posixpath.join(cwd, path)
    if path.startswith("/"):
        path = "/" + posixpath.normpath(path).lstrip("/")
        if path == ROOT:
            return ".", False
        if not path.startswith(ROOT + "/"):
            return path, not (path == _SCRATCH or path.startswith(_SCRATCH + "/"))
        path = path[len(ROOT) + 1 :]
    path = posixpath.normpath(path) if path else "."
    # A name in the folder that looks like a home is no home.
    if path.startswith(("~", "$")):
        path = f"./{path}"
    return path, path == ".." or path.startswith("../")


def _below_home(path: str) -> str:
    home, _, rest = path.partition("/")
    rest = posixpath.normpath(rest.lstrip("/") or ".")
    return home if rest == "." else f"{home}/{rest}"


def looks_alike(path: str) -> bool:
    """Return whether a path has what nobody sees, or what is drawn like the letters and signs of another.

    Words in one alphabet are as good as ASCII ones, beside others as well.
    """
    if path.isascii():
        return any(ord(char) < 32 or ord(char) == 127 for char in path)
    return any(map(_is_disguised, path.split("/")))


def _is_disguised(name: str) -> bool:
    if _SIGNS.search(name) or name != name.strip() or any(map(_is_variant, name)):
        return True
    plain = _SPACES.sub(" ", name)
    return display_name(plain) != plain


def _is_variant(char: str) -> bool:
    """Return whether a letter is one of ASCII in another shape; ordinals are no letters to people."""
    if char < "\x80" or not char.isalpha() or char in "\u00aa\u00ba":
        return False
    plain = unicodedata.normalize("NFKC", char)
    return plain != char and plain.isascii()
