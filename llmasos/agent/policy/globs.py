"""Globs over names, commands, hosts and paths, each set of them compiled once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[str], bool]


@lru_cache(maxsize=4096)
def matcher(globs: tuple[str, ...], *, paths: bool, strict: bool) -> Matcher:
    """Return what tells whether a text matches: one of the globs, and none of those that begin with `!`.

    Args:
        globs: The globs. In paths `*` stays inside of one name, and `**` does not.
        paths: Whether the texts are paths. A glob without a slash is one of a name in any folder; `./` before
            it stands for the top one.
        strict: Whether to match as the rules do that allow: with the case as it is written, and for paths
            only the path itself. Otherwise what lies below a match, and what other systems take for the same
            path, matches as well.
    """
    wanted = [glob for glob in globs if not glob.startswith("!")]
    unwanted = [glob[1:] for glob in globs if glob.startswith("!")]
    yes = _any(wanted, paths, broad=not strict)
    if not unwanted:
        return yes
    # An exception is matched the other way round, so that what is in doubt is asked about.
    no = _any(unwanted, paths, broad=strict)
    return (lambda text: not no(text) and yes(text)) if wanted else (lambda text: not no(text))


def sample(globs: tuple[str, ...]) -> str:
    """Return a text that probably matches."""
    wanted = [glob for glob in globs if not glob.startswith("!")]
    if not wanted:
        return "something"
    text = re.sub(r"\[!?(.)[^\]]*\]", r"\1", wanted[0])
    return text.replace("**", "x").replace("*", "x").replace("?", "x")


def _any(globs: list[str], paths: bool, *, broad: bool) -> Matcher:
    sources = [_path(glob, broad) if paths else _translate(glob, star=".*", one=".") for glob in globs]
    fullmatch = re.compile("|".join(sources), re.DOTALL | re.IGNORECASE if broad else re.DOTALL).fullmatch
    if broad and paths:
        return lambda text: fullmatch(_plain(text)) is not None
    if paths:
        return lambda text: ".." not in text.split("/") and fullmatch(text) is not None
    return lambda text: fullmatch(text) is not None


def _plain(path: str) -> str:
    """Return the path as a file system might read it that folds case and skips what cannot be seen."""
    if not path.isascii():
        path = unicodedata.normalize("NFKC", path)
        path = "".join(char for char in path if unicodedata.category(char) not in ("Cf", "Mn"))
    parts = path.replace("\\", "/").split("/")
    plain = [part.partition(":")[0].rstrip(". ") or part for part in parts if part not in ("", ".")]
    return "/" + "/".join(plain) if path.startswith("/") else "/".join(plain) or "."


def _path(glob: str, broad: bool) -> str:
    glob = glob.rstrip("/") or "/"
    source = _translate(glob.removeprefix("./"), star="[^/]*", one="[^/]")
    if "/" not in glob:
        source = f"(?:.*/)?{source}"
    return f"{source}(?:/.*)?" if broad else source


def _translate(glob: str, star: str, one: str) -> str:
    found, at = [], 0
    while at < len(glob):
        char = glob[at]
        if glob.startswith("**/", at):
            found.append("(?:.*/)?")
            at += 3
            continue
        if glob.startswith("**", at):
            found.append(".*")
            at += 2
            continue
        end = glob.find("]", at + 2) if char == "[" else -1
        if end > 0:
            inside = glob[at + 1 : end]
            negated = inside.startswith("!") and len(inside) > 1
            chars = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[negated:])
            found.append(f"[{'^' if negated else ''}{chars}]")
            at = end + 1
            continue
        found.append(star if char == "*" else one if char == "?" else re.escape(char))
        at += 1
    return "".join(found)
