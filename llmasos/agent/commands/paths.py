"""One spelling for each path, and whether it leads out of the folder."""

from __future__ import annotations

import posixpath
import unicodedata

ROOT = "/workspace"
_SCRATCH = "/tmp"  # noqa: S108 - a path inside the sandbox
_HOMES = ("$HOME", "${HOME}", "~")
_HERE = ("$PWD", "${PWD}", "~+")
_INVISIBLE = frozenset({"Cf", "Cc", "Zl", "Zp", "Co", "Cn", "Cs"})
# Letters of other alphabets that are drawn like those of ASCII.
_DRAWN_ALIKE = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406\u0408\u0405"
    "\u03bf\u03b1\u03c1\u03bd\u03b9\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u0131\u0261\u026a\u0578\u0585\u057d\u13a0\u13a1\u13a2"
)
# Slashes, dots, hyphens and quotes that are not the ones of ASCII.
_MARKS = frozenset(
    "\u2044\u2215\u29f8\u29f9\u2571\u2572\u1735\u3033\u2024\u2025\u2026\ufe52\u0701\u0702\u0660\u06f0"
    "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d\u02d7\u0338\u0337\ua4f8"
)


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
    """Return whether a path has invisible characters, or some that look like those of ASCII.

    Names that are written in one alphabet are as good as ASCII ones.
    """
    if path.isascii():
        return any(ord(char) < 32 or ord(char) == 127 for char in path)
    for char in path:
        if char in _MARKS or unicodedata.category(char) in _INVISIBLE:
            return True
        if char > "\x7f" and (plain := unicodedata.normalize("NFKC", char)) != char and plain.isascii():
            return True
    return any(_mixes(part) for part in path.split("/"))


def _mixes(name: str) -> bool:
    letters = [char for char in name.rpartition(".")[0] or name if char.isalpha()]
    alike = [char for char in letters if char in _DRAWN_ALIKE]
    return bool(alike) and (any(char.isascii() for char in letters) or len(alike) == len(letters))
