"""Calls in Python: what functions and methods do, by their names."""

from __future__ import annotations

import ast
import re

from . import modules
from .network import host_of
from .program import Findings
from .table import names
from .values import Values

_CLIENTS = names("get post put delete head patch options request urlopen urlretrieve stream")
_OUTPUTS = frozenset({"sys.stdout", "sys.stderr"})
_CONNECTIONS = names("create_connection SMTP SMTP_SSL FTP HTTPSConnection HTTPConnection")
_FILES = names(
    "path path_or_buf fname buf filename excel_writer file filepath dst io filepath_or_buffer name src target"
)


class Calls:
    """Finds out what calls do, and notes it.

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
        self.databases: list[str] = []

    def call_of(self, node: ast.Call, module: str, name: str) -> None:
        top = module.split(".")[0]
        if (
            top in modules.NETWORK
            or (top == "urllib" and "request" in module)
            or name in {"urlopen", "urlretrieve"}
        ):
            self._reach(node, name)
        elif name in modules.RUNNERS and top in {"subprocess", "os"}:
            self._command(node, name)
        elif top in modules.RUNS:
            self.found.unknown(f"{module}.{name} may run anything.")
        elif name == "open":
            self.opens(node, 0, flags=top == "os")
        elif name in {"ZipFile", "GzipFile", "BZ2File", "LZMAFile", "TarFile", "FileIO"}:
            self.opens(node, 0)
        elif module == "os.environ":
            if name not in {"get", "items", "keys", "values", "copy"}:
                self.found.unknown("It changes the environment.")
        elif name == "unpack_archive":
            self.found.read(*self._known(node.args[:1]))
            self._target(_argument(node, 1, "extract_dir") or ast.Constant("."))
        elif top == "os" and name in {"link", "symlink"}:
            # What a link leads to may be written by it from now on.
            for at, key in enumerate(("src", "dst")):
                self._target(_argument(node, at, key))
        elif top == "sqlite3" and name == "connect":
            self.databases += self._known(node.args[:1])
            self.found.read(*self.databases)
        elif top == "os" and name == "chdir":
            place = self.values.path(node.args[0]) if node.args else None
            self.found.enter(place)
        elif name in modules.CALLS or (name in {"load", "loads"} and top in {"yaml"} and not _is_safe(node)):
            self.runs(node, name)
        elif top == "os" and name in {"close", "write", "open", "fdopen", "dup", "dup2", "sendfile"}:
            self.found.write()
            self.found.vague(f"What os.{name} writes cannot be known.")
        elif top == "numpy" and name == "load" and any(word.arg == "allow_pickle" for word in node.keywords):
            self.found.unknown("numpy.load may run what it loads.")
        elif top == "numpy" and name in {"save", "memmap"}:
            self._target(node.args[0] if node.args else None)
        elif name in {"attrgetter", "methodcaller"}:
            text = self.values.text(node.args[0]) if node.args else None
            if text is None or "." in text or text in modules.TELLING_NAMES:
                self.found.undecided("It looks an attribute up by a name that cannot be known.")
        elif top == "duckdb" and name in {"sql", "query", "execute"}:
            self.asks_database(node)
        elif name in modules.MOVING and top not in {"dataclasses", "copy", "numpy", "operator"}:
            self._moves(node.args)
        elif top == "shutil" and name in {"copy", "copy2", "copyfile", "copytree"}:
            self.found.read(*self._known(node.args[:1]))
            self._target(_argument(node, 1, "dst"))
        else:
            self.effect_of(node, name, None)

    def path_method(self, node: ast.Call, name: str, place: str) -> None:
        if name in {"unlink", "rmdir"}:
            self.found.delete(place)
        elif name in {"rename", "replace"}:
            self.found.delete(place)
            self._target(node.args[0] if node.args else None)
        else:
            self.found.write(place)
            if name.endswith("link_to"):
                self.found.read(*self._known(node.args[:1]))

    def effect_of(self, node: ast.Call, name: str, owner: ast.expr | None) -> None:
        """Note what a function does that is known by its name, or a method of what is not known."""
        given = [*node.args, *(word.value for word in node.keywords if word.arg in _FILES)]
        first = given[0] if given else None
        if name in modules.DELETING:
            if name == "remove" and owner is not None and self.values.is_collection(owner):
                return
            self._target(first if owner is None else None, delete=True)
        elif name in modules.MOVING:
            if name == "replace" and (len(node.args) != 1 or node.keywords):
                return  # of a text, a table or a date
            if name == "rename" and owner is not None and (not node.args or node.keywords):
                return  # of a table
            self.found.effects.update(("writes", "deletes"))
            self.found.vague(f"What {name}() moves cannot be known.")
        elif name in modules.WRITING:
            self._writes(node, name, first, bound=owner is not None)
        elif name in modules.READING and first is not None:
            self._read_or_fetched(first)

    def _writes(self, node: ast.Call, name: str, first: ast.expr | None, *, bound: bool) -> None:
        if name in modules.TEXT_WITHOUT_PATH and first is None:
            return
        if name in {
            "NamedTemporaryFile",
            "mkstemp",
            "mkdtemp",
            "TemporaryDirectory",
            "TemporaryFile",
        } and not (node.args or any(word.arg == "dir" for word in node.keywords)):
            self.found.effects.add("writes")
        elif name in {"extractall", "extract"}:
            if bound and name == "extract" and first is not None and not isinstance(first, ast.Name):
                return  # of a column of text
            place = next((word.value for word in node.keywords if word.arg == "path"), None)
            place = place or (node.args[0] if name == "extractall" and node.args else None)
            if place is None:
                self.found.write(".")
            else:
                self._target(place)
        elif name in modules.METHODS_ON_PATH or name in {"writestr", "truncate"}:
            self.found.effects.add("writes")
            if not bound:
                self._target(first)
            elif name not in {"writestr", "truncate"}:
                self.found.vague(f"What .{name}() writes cannot be known.")
        elif name == "to_sql":
            self.found.effects.add("writes")
        else:
            self._target(first)

    def asks_database(self, node: ast.Call) -> None:
        text = self.values.text(node.args[0]) if node.args else None
        if text is None:
            self.found.effects.add("writes")
            self.found.vague("What a database is told cannot be known.")
        elif re.search(
            r"\b(copy|attach|install|load|export|import|load_extension|shell)\b", text, re.IGNORECASE
        ):
            self.found.unknown("What a database is told may write any file, or load programs.")
        elif re.search(modules.SQL_WRITES, text, re.IGNORECASE):
            self.found.effects.add("writes")
            self.found.write(*self.databases)

    def runs(self, node: ast.Call, name: str) -> None:
        if name in {"urlopen", "urlretrieve"}:
            self._reach(node, name)
        else:
            self.found.unknown(f"{name}() may run anything.")

    def _command(self, node: ast.Call, name: str) -> None:
        """Note a command that is run, as far as it is written there."""
        from .bash import walk
        from .simple import Runner
        from .words import Word

        given = _argument(node, 0, "args")
        runner = Runner(self.found, self.depth + 1, ("python",))
        if any(word.arg in {"env", "preexec_fn", "executable", None} for word in node.keywords):
            self.found.unknown("It is run in another environment.")
        if any(word.arg == "cwd" for word in node.keywords):
            self.found.vague("It is run in another folder.")
        self.found.effects.add("executes")
        if isinstance(given, ast.List | ast.Tuple):
            words = [(item, self.values.path(item)) for item in given.elts]
            runner.run([Word(text or ast.unparse(item), dynamic=text is None) for item, text in words])
        elif given is not None and (text := self.values.text(given)) is not None:
            walk(text, runner)
        else:
            self.found.undecided(f"What {name} runs cannot be known.")

    # What is opened, read and written

    def opens(self, node: ast.Call, at: int, owner: ast.expr | None = None, *, flags: bool = False) -> None:
        mode = _argument(node, at + 1, "mode")
        target = owner if at < 0 else _argument(node, 0, "file")
        if (
            at < 0
            and mode is not None
            and not re.fullmatch(r"[rwaxbtU+]{1,4}", self.values.text(mode) or "w")
        ):
            mode = _argument(node, 1, "mode")  # of an archive, whose members have names
        written = self.values.text(mode) if mode is not None else "r"
        if any(word.arg is None for word in node.keywords) or any(
            isinstance(item, ast.Starred) for item in node.args
        ):
            written = None
        if (
            at < 0
            and owner is not None
            and (self.values.path(owner) is None or not self.values.is_path(owner))
        ):
            # Of what this is a method is not known; `w` can only be a mode.
            if written is None or set(written) & set("wax+"):
                self.found.effects.add("writes")
                self.found.vague("What is opened cannot be known.")
            return
        if flags or written is None or set(written.split(":")[0].split("|")[0]) & set("wax+"):
            self._target(target)
        elif target is not None:
            self._read_or_fetched(target)
        if any(word.arg == "opener" for word in node.keywords):
            self.found.unknown("It opens files by a function.")

    def _read_or_fetched(self, node: ast.expr) -> None:
        place = self.values.path(node)
        self.found.effects.add("reads")
        if place is None:
            return
        if re.match(r"[a-z0-9+]{2,}://", place, re.IGNORECASE):
            self.found.reach(host_of(place))
        elif "\n" not in place:
            self.found.read(place)

    def _target(self, node: ast.expr | None, *, delete: bool = False) -> None:
        """Note a path that is written; what was opened before has been noted then."""
        if node is not None and (self.values.is_opened(node) or self.module_of(node) in _OUTPUTS):
            return
        self.found.effects.add("deletes" if delete else "writes")
        place = None if node is None else self.values.path(node)
        if place is None:
            self.found.vague("Which file is written cannot be known.")
        elif delete:
            self.found.delete(place)
        else:
            self.found.write(place)

    def _moves(self, arguments: list[ast.expr]) -> None:
        self.found.effects.update(("writes", "deletes"))
        for node, delete in zip(arguments[:2], (True, False), strict=False):
            self._target(node, delete=delete)

    def _known(self, nodes: list[ast.expr]) -> list[str]:
        return [place for node in nodes if (place := self.values.path(node)) is not None]

    def _reach(self, node: ast.Call, name: str) -> None:
        self.found.effects.add("network")
        given = [
            *node.args,
            *(word.value for word in node.keywords if word.arg in {"url", "host", "address"}),
        ]
        if given and isinstance(given[0], ast.Tuple):
            given = given[0].elts
        hosts = [host_of(self._start(item) or "") for item in given]
        if not any(hosts) and given and name in _CONNECTIONS:
            hosts = [host_of(self.values.text(given[0]) or "", bare=True)]
        if any(hosts):
            self.found.reach(*hosts)
        elif name in _CLIENTS | _CONNECTIONS:
            self.found.vague("Which host is reached cannot be known.")
        if name == "urlretrieve" and len(node.args) > 1:
            self._target(node.args[1])

    def _start(self, node: ast.expr) -> str | None:
        """Return a text, or its beginning when that names a whole host."""
        text = self.values.text(node)
        if text is not None:
            return text
        start: str | None = None
        if isinstance(node, ast.JoinedStr) and node.values:
            start = self.values.text(node.values[0])
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            start = self._start(node.left)
        return start if start and re.match(r"\w+://[^/]+/", start) else None

    def module_of(self, node: ast.expr) -> str | None:
        """Return the module that an expression names."""
        if isinstance(node, ast.Name):
            # What was imported earlier in the same session goes by its own name.
            known = node.id in modules.TELLING and node.id not in self.values.stored
            return self.names.get(node.id, node.id if known else None)
        if isinstance(node, ast.Attribute) and (module := self.module_of(node.value)) is not None:
            return f"{module}.{node.attr}"
        return None


def _argument(node: ast.Call, at: int, name: str) -> ast.expr | None:
    if 0 <= at < len(node.args):
        return node.args[at]
    return next((word.value for word in node.keywords if word.arg == name), None)


def _is_safe(node: ast.Call) -> bool:
    return any(
        "Safe" in ast.unparse(item) for item in (*node.args[1:], *(word.value for word in node.keywords))
    )
