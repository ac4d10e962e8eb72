"""Databases in Python: what they are told in their own language."""

from __future__ import annotations

import ast
import re

from . import modules
from .files import Files
from .program import Findings
from .values import Values

_RUNS = re.compile(r"\b(copy|attach|install|load|export|import|load_extension|shell|getenv)\b", re.IGNORECASE)
_SOURCE = re.compile(r"(?<!\w)(?:from|join|(\w+)\s*\()\s*(?:\[\s*)?'([^']+)'", re.IGNORECASE)
_READS = re.compile(r"read_.*|glob|sniff_csv|.*scan.*", re.IGNORECASE)
_MEMORY = ":memory:"
_CONNECTS = frozenset({"sqlite3.connect", "duckdb.connect"})


class Databases(Files):
    """Finds out what databases and tables are told, and notes it.

    Args:
        found: Where it is noted.
        values: What the code's expressions are.
        depth: How many texts lie around this one.
    """

    def __init__(self, found: Findings, values: Values, depth: int) -> None:
        super().__init__(found, values, depth)
        self._opened: dict[str | None, None] = {}
        self._is_told = False

    def connects(self, node: ast.Call) -> None:
        """Note a database that is opened, in a file or in memory."""
        place = self.values.path(node.args[0]) if node.args else (None if node.keywords else _MEMORY)
        self._opened[place] = None
        if place is not None and place != _MEMORY:
            self.found.read(place)

    def backs_up(self) -> None:
        """Note that a database is written whole."""
        self._is_told = True
        self._opened[None] = None

    def finish(self) -> None:
        """Note which databases were written, once it is known which there are."""
        if self._is_told and self._opened.keys() != {_MEMORY}:
            self.found.write(*(place for place in self._opened if place is not None and place != _MEMORY))
            if None in self._opened or not self._opened:
                self.found.vague("Which database is written cannot be known.")

    def asks_database(self, node: ast.Call) -> None:
        """Note what a statement does; one that is not known may write."""
        text = self.values.text(node.args[0]) if node.args else None
        if text is None:
            self.found.effects.add("writes")
            self.found.vague("What a database is told cannot be known.")
        else:
            self.tells_database(text)

    def tells_database(self, text: str) -> None:
        """Note what a known statement does."""
        for function, place in _SOURCE.findall(text):
            if not function or _READS.fullmatch(function):
                self.fetches(ast.Constant(place))
        if _RUNS.search(text):
            self.found.unknown("What a database is told may write any file, or load programs.")
        elif re.search(modules.SQL_WRITES, text, re.IGNORECASE):
            self._is_told = True

    def reads_database(self, node: ast.Call, name: str) -> None:
        """Note what a table is read from, when that is a database that the code itself opened."""
        connection = node.args[1] if len(node.args) > 1 else None
        if isinstance(connection, ast.Name):
            connection = self.values.constants.get(connection.id)
        if isinstance(connection, ast.Call) and self.module_of(connection.func) in _CONNECTS:
            self.asks_database(node)
        else:
            self.found.unknown(f"{name}() may reach any database.")

    def asks_table(self, node: ast.Call, name: str) -> None:
        """Note what a table evaluates."""
        for item in node.args[1:]:
            if (text := self.values.text(item)) is not None:
                self.tells_database(text)
        text = self.values.text(node.args[0]) if node.args else None
        if (
            text is None
            or re.search(r"@[^\s]*\(|__|" + modules.SQL_WRITES, text, re.IGNORECASE)
            or any(modules.is_telling(word) for word in re.findall(r"\.\s*(\w+)\s*\(", text))
        ):
            self.found.undecided(f"What .{name}() does cannot be known.")
