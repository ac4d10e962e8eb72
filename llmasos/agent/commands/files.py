"""Files in Python: which ones calls open, read, write, move and delete."""

from __future__ import annotations

import ast
import re

from . import modules
from .network import host_of
from .program import Findings
from .table import names
from .values import Values

_OUTPUTS = ("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__")
_FILES = names(
    "path path_or_buf fname buf filename excel_writer file filepath dst io filepath_or_buffer name src target"
    " fp where file_name outfile out_file output output_path destination root base_dir save_path location"
)


class Files:
    """Finds out which files calls touch, and notes it.

    Args:
        found: Where it is noted.
        values: What the code's expressions are.
        depth: How many texts lie around this one.
    """

    def __init__(self, found: Findings, values: Values, depth: int) -> None:
        self.found = found
        self.values = values
        self.depth = depth
        self.names: dict[str, str] = {}  # what was imported, by the names that it has here

    def module_of(self, node: ast.expr) -> str | None:
        """Return the module that an expression names."""
        if isinstance(node, ast.Name):
            alias = self.values.constants.get(node.id)
            if isinstance(alias, ast.Attribute | ast.Name) and node.id not in self.names:
                return self.module_of(alias)
            # What was imported earlier in the same session goes by its own name.
            known = None if node.id in self.values.stored else modules.CONVENTIONS.get(node.id)
            return self.names.get(node.id, known)
        if isinstance(node, ast.Attribute) and (module := self.module_of(node.value)) is not None:
            return f"{module}.{node.attr}"
        return None

    def uses(self, *packages: str) -> bool:
        """Return whether one of these packages is imported."""
        return any(origin.split(".")[0] in packages for origin in self.names.values())

    def path_method(self, node: ast.Call, name: str, place: str) -> None:
        """Note what a method of a path does to it."""
        if name in {"unlink", "rmdir"}:
            self.found.delete(place)
        elif name in {"rename", "replace"}:
            self.found.delete(place)
            self.target(node.args[0] if node.args else None)
        else:
            self.found.write(place)
            if name.endswith("link_to"):
                self.found.read(*self.known(node.args[:1]))

    def touches(self, node: ast.Call, name: str, owner: ast.expr | None) -> bool:
        """Note what a function does that is known by its name, or a method of what is not known.

        Returns:
            Whether its name is known.
        """
        first = _first(node)
        if name in modules.DELETING:
            if not (name == "remove" and owner is not None and self.values.is_collection(owner)):
                self.target(first if owner is None else None, delete=True)
        elif name in modules.MOVING:
            self._moves_unknown(node, name, owner)
        elif name in modules.WRITING:
            self._writes(node, name, first, bound=owner is not None)
        elif name in modules.READING:
            place = None if owner is None else self.owned(owner)
            if place is not None:
                self.found.read(place)
            elif first is not None and not (owner is not None and name in {"glob", "rglob"}):
                self.fetches(first)
        else:
            return False
        return True

    def owned(self, owner: ast.expr) -> str | None:
        """Return the path, or a glob that it matches, whose method is called."""
        path = self.values.path(owner) if self.values.is_path(owner) else None
        return self.values.matched(owner) if path is None else path

    def _moves_unknown(self, node: ast.Call, name: str, owner: ast.expr | None) -> None:
        if name == "replace" and (
            len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Dict | ast.List)
        ):
            return  # of a text, a table or a date
        if name == "rename" and owner is not None and (not node.args or node.keywords):
            return  # of a table
        self.found.effects.update(("writes", "deletes"))
        self.found.vague(f"What {name}() moves cannot be known.")

    def _writes(self, node: ast.Call, name: str, first: ast.expr | None, *, bound: bool) -> None:
        if name in modules.TEXT_WITHOUT_PATH and first is None:
            return
        if name in modules.TEMPORARY and not (node.args or any(word.arg == "dir" for word in node.keywords)):
            self.found.effects.add("writes")
        elif name in {"extractall", "extract"}:
            self._extracts(node, name, first, bound=bound)
        elif name in modules.METHODS_ON_PATH or name in {"writestr", "truncate"}:
            self.found.effects.add("writes")
            if not bound:
                self.target(first)
            elif name not in {"writestr", "truncate"}:
                self.found.vague(f"What .{name}() writes cannot be known.")
        elif name == "to_sql":
            self.found.effects.add("writes")
        else:
            self.target(first)

    def _extracts(self, node: ast.Call, name: str, first: ast.expr | None, *, bound: bool) -> None:
        if bound and name == "extract" and first is not None and not isinstance(first, ast.Name):
            return  # of a column of text
        place = next((word.value for word in node.keywords if word.arg == "path"), None)
        place = place or (node.args[0] if name == "extractall" and node.args else None)
        if place is None:
            self.found.write(".")
        else:
            self.target(place)

    def saves(self, node: ast.Call, *, second: bool = False) -> None:
        """Note what is written by a function whose name says that it writes to a path, where it is given one.

        Args:
            node: The call.
            second: Whether what is written comes before the path.
        """
        given = [item for item in node.args[second:] if not _is_data(item)]
        first = given[0] if given else _named(node)
        if first is not None:
            self.target(first)
        elif any(word.arg is None for word in node.keywords) or second:
            self.target(None)

    def opens(self, node: ast.Call, at: int, owner: ast.expr | None = None, *, flags: bool = False) -> None:
        """Note a file that is opened, by the mode that it is opened with.

        Args:
            node: The call.
            at: Where its path is among what is given; -1 where it is the owner.
            owner: Whose method it is.
            flags: Whether the mode is a number.
        """
        mode = argument(node, at + 1, "mode")
        target = owner if at < 0 else argument(node, 0, "file")
        if (
            at < 0
            and mode is not None
            and not re.fullmatch(r"[rwaxbtU+]{1,4}", self.values.text(mode) or "w")
        ):
            mode = argument(node, 1, "mode")  # of an archive, whose members have names
        written = self.values.text(mode) if mode is not None else "r"
        if any(word.arg is None for word in node.keywords) or any(
            isinstance(item, ast.Starred) for item in node.args
        ):
            written = None
        if at < 0 and owner is not None and self.owned(owner) is None:
            # Of what this is a method is not known; `w` can only be a mode.
            if written is None or set(written) & set("wax+"):
                self.found.effects.add("writes")
                self.found.vague("What is opened cannot be known.")
            return
        if flags or written is None or set(written.split(":")[0].split("|")[0]) & set("wax+"):
            self.target(target)
        elif target is not None:
            self.fetches(target)
        if any(word.arg == "opener" for word in node.keywords):
            self.found.unknown("It opens files by a function.")

    def fetches(self, node: ast.expr) -> None:
        """Note a path that is read, or a host that is asked."""
        place = self.values.place(node)
        self.found.effects.add("reads")
        if place is None:
            return
        if re.match(r"[a-z0-9+]{2,}://", place, re.IGNORECASE) and not place.lower().startswith("file:"):
            self.found.reach(host_of(place))
        elif "\n" not in place:
            self.found.read(re.sub(r"^file:/*", "/", place, flags=re.IGNORECASE))

    def target(self, node: ast.expr | None, *, delete: bool = False) -> None:
        """Note a path that is written; what was opened before has been noted then."""
        if node is not None and (
            self.values.is_opened(node) or (self.module_of(node) or "").startswith(_OUTPUTS)
        ):
            return
        self.found.effects.add("deletes" if delete else "writes")
        place = None if node is None else self.values.place(node)
        if place is None:
            self.found.vague("Which file is written cannot be known.")
        elif delete:
            self.found.delete(place)
        else:
            self.found.write(place)

    def moves(self, arguments: list[ast.expr]) -> None:
        """Note a path that is moved to another one."""
        self.found.effects.update(("writes", "deletes"))
        for node, delete in zip(arguments[:2], (True, False), strict=False):
            self.target(node, delete=delete)

    def known(self, nodes: list[ast.expr]) -> list[str]:
        """Return the paths among some expressions that are known."""
        return [place for node in nodes if (place := self.values.place(node)) is not None]


def argument(node: ast.Call, at: int, name: str) -> ast.expr | None:
    """Return what a call is given at a place or by a name."""
    if 0 <= at < len(node.args):
        return node.args[at]
    return next((word.value for word in node.keywords if word.arg == name), None)


def _is_data(node: ast.expr) -> bool:
    """Return whether an expression is certainly no path."""
    return isinstance(node, ast.Dict | ast.List | ast.Set | ast.ListComp) or (
        isinstance(node, ast.Constant) and not isinstance(node.value, str | bytes)
    )


def _named(node: ast.Call) -> ast.expr | None:
    return next((word.value for word in node.keywords if word.arg in _FILES), None)


def _first(node: ast.Call) -> ast.expr | None:
    return node.args[0] if node.args else _named(node)
