"""Globs over names, commands, hosts and paths, each set of them compiled once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

Matcher = Callable[[str], bool]
_WILD = re.compile(r"[*?\[]")
_STARS = re.compile(r"\*{2,}")


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
    if not paths:
        text_matches = _regex(
            [_translate(_STARS.sub("*", glob), star=".*", one=".") for glob in globs], broad
        )
        return lambda text: text_matches(text) is not None
    below = [glob for glob in globs if "/" in glob.rstrip("/")]
    whole = _regex([_whole(glob, broad) for glob in below if glob.count("**") < 2], broad)
    deep = [_Deep(glob, broad) for glob in below if glob.count("**") >= 2]
    names = [_STARS.sub("*", glob.rstrip("/")) or "/" for glob in globs if "/" not in glob.rstrip("/")]
    wild = _regex([_translate(name, star="[^/]*", one="[^/]") for name in names if _WILD.search(name)], broad)
    plain = frozenset(name.casefold() if broad else name for name in names)

    def broadly(path: str) -> bool:
        path = _plain(path)
        parts = path.split("/") if path != "/" else ["/"]
        found = any(part.casefold() in plain or wild(part) is not None for part in parts)
        return found or whole(path) is not None or any(glob.matches(parts) for glob in deep)

    def narrowly(path: str) -> bool:
        parts = path.split("/")
        if ".." in parts:
            return False
        if parts[-1] in plain or wild(parts[-1]) is not None or whole(path) is not None:
            return True
        return any(glob.matches(parts) for glob in deep)

    return broadly if broad else narrowly


class _Deep:
    """A glob of paths with several `**`, matched a name at a time, as going back over them would take ages.

    Args:
        glob: The glob. Beside other characters of a name, only the first and the last `**` of it lead below.
        broad: Whether what lies below a match matches as well.
    """

    def __init__(self, glob: str, broad: bool) -> None:
        self._broad = broad
        self._loops: set[int] = set()
        self._steps: list[list[tuple[Callable[[str], object | None], int]]] = [[]]
        parts = glob.rstrip("/").removeprefix("./").split("/")
        for number, part in enumerate(parts, 1):
            head, *rest = _STARS.split(part)
            if part and not part.strip("*") and rest:
                self._loops.add(len(self._steps) - 1)
                if number == len(parts):
                    self._step("*")
            elif not rest:
                self._step(part)
            else:
                start = len(self._steps) - 1
                self._step(f"{head}*")
                self._loops.add(len(self._steps) - 1)
                self._step(f"*{rest[-1] if broad else '*'.join(rest)}")
                self._steps[start].append((self._name("*".join((head, *rest))), len(self._steps) - 1))

    def _step(self, name: str) -> None:
        self._steps[-1].append((self._name(name), len(self._steps)))
        self._steps.append([])

    def _name(self, name: str) -> Callable[[str], object | None]:
        return _regex([_translate(name, star="[^/]*", one="[^/]")], self._broad)

    def matches(self, parts: Sequence[str]) -> bool:
        """Return whether a path matches, which is given as its names."""
        reached, last = {0}, len(self._steps) - 1
        for part in parts:
            further = {
                after for place in reached for test, after in self._steps[place] if test(part) is not None
            }
            reached = further | (reached & self._loops)
            if self._broad and last in reached:
                return True
        return last in reached


def _regex(sources: Sequence[str], broad: bool) -> Callable[[str], object | None]:
    if not sources:
        return lambda _text: None
    return re.compile("|".join(sources), re.DOTALL | re.IGNORECASE if broad else re.DOTALL).fullmatch


def _whole(glob: str, broad: bool) -> str:
    source = _translate(glob.rstrip("/").removeprefix("./"), star="[^/]*", one="[^/]")
    return f"{source}(?:/.*)?" if broad else source


def _plain(path: str) -> str:
    """Return the path as a file system might read it that folds case and skips what cannot be seen."""
    if not path.isascii():
        path = unicodedata.normalize("NFKC", path)
        path = "".join(char for char in path if unicodedata.category(char) not in ("Cf", "Mn"))
    parts = path.replace("\\", "/").split("/")
    plain = [part.partition(":")[0].rstrip(". ") or part for part in parts if part not in ("", ".")]
    return "/" + "/".join(plain) if path.startswith("/") else "/".join(plain) or "."


def _translate(glob: str, *, star: str, one: str) -> str:
    """Return a regular expression for a glob, which never goes back over what a `*` has passed."""
    pieces, at = [""], 0
    while at < len(glob):
        char = glob[at]
        end = glob.find("]", at + 2) if char == "[" else -1
        if glob.startswith("**", at):
            below = glob.startswith("**/", at)
            pieces[-1] += "(?:.*/)?" if below else ".*"
            at += 3 if below else 2
        elif char == "*":
            pieces.append("")
            at += 1
        elif end > 0:
            pieces[-1] += _chars(glob[at + 1 : end])
            at = end + 1
        else:
            pieces[-1] += one if char == "?" else re.escape(char)
            at += 1
    first, *rest = pieces
    if not rest:
        return first
    # What follows a `*` may as well be found as early as it can be, unless the end has to follow.
    return first + "".join(f"(?>{star}?{piece})" for piece in rest[:-1]) + star + rest[-1]


def _chars(inside: str) -> str:
    negated = inside.startswith("!") and len(inside) > 1
    chars = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[negated:])
    return f"[{'^' if negated else ''}{chars}]"
