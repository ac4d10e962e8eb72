"""Python: what a piece of code does, by its syntax tree."""

from __future__ import annotations

import ast
import builtins
import posixpath
import re
import warnings
from collections.abc import Collection

from . import modules
from .network import host_of
from .program import Command, Findings, Program
from .table import names

_LONGEST = 50_000
_DEEPEST = 12
_CLIENTS = names("get post put delete head patch options request urlopen urlretrieve stream")
_PATHS = frozenset({"Path", "PurePath", "PosixPath"})
_HANDED = (modules.DELETING | modules.METHODS_ON_PATH) - {"remove", "replace", "touch"} | {
    "system",
    "popen",
    "Popen",
}
_FILES = names(
    "path path_or_buf fname buf filename excel_writer file filepath dst io filepath_or_buffer name src target"
)
_RUNNERS = names("run call check_call check_output Popen getoutput getstatusoutput system popen")


def analyse_python(
    code: str, functions: Collection[str] = (), *, cwd: str | None = "", depth: int = 0
) -> Program:
    """Return what a piece of Python does; never raises.

    Args:
        code: The code.
        functions: Names of functions whose calls are decided on by themselves.
        cwd: Where it runs, from the folder on; None when that is not known.
        depth: How many texts lie around this one.
    """
    found = Findings(cwds=(cwd,))
    if len(code) > _LONGEST or depth > _DEEPEST:
        found.undecided("It is too long to be understood.")
        return found.program()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        _Visitor(found, tree, frozenset(functions), depth).visit(tree)
    except SyntaxError:
        found.undecided("It is not what Python understands.")
    except Exception as error:  # whatever goes wrong here, the code may do anything
        found.undecided(f"It cannot be understood ({type(error).__name__}).")
    if not found.effects:
        found.effects.add("reads")
    return found.program()


class _Visitor(ast.NodeVisitor):
    """Visits a syntax tree.

    Args:
        found: Where it is noted what is found.
        tree: The tree.
        functions: Functions whose calls are decided on by themselves.
        depth: How many texts lie around this one.
    """

    def __init__(self, found: Findings, tree: ast.Module, functions: frozenset[str], depth: int) -> None:
        self.found = found
        self.depth = depth
        self.stored = _stored(tree)
        self.functions = functions - self.stored.keys()
        self.defined = _defined(tree, self.stored)
        self.names: dict[str, str] = {}
        self.constants = {
            name: nodes[0] for name, nodes in self.stored.items() if len(nodes) == 1 and nodes[0] is not None
        }
        self.resolving: set[str] = set()
        self.called: set[int] = set()
        self.databases: list[str] = []

    # What is imported

    def visit_Import(self, node: ast.Import) -> None:
        """Note the modules that are imported."""
        for alias in node.names:
            self._import(alias.name)
            if alias.asname and alias.name in modules.TELLING and alias.asname != alias.name:
                self.found.vague(f"It calls {alias.name} by another name.")
            self.names[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note the module that names are imported from, and those names that do more than calculate."""
        module = node.module or ""
        if node.level:
            self.found.unknown("It imports a module of the folder.")
            return
        for alias in node.names:
            self._import(f"{module}.{alias.name}" if module in {"urllib", "concurrent"} else module)
            self.names[alias.asname or alias.name] = f"{module}.{alias.name}"
            if alias.name == "*" or alias.name in modules.CALLS or alias.name in modules.SECRET:
                self.found.unknown(f"It imports {alias.name} of {module}.")
            elif module in {"os", "shutil"} and alias.name in modules.DELETING | modules.MOVING:
                self.found.effects.add("deletes")
            elif module in {"os", "shutil"} and alias.name in modules.WRITING:
                self.found.effects.add("writes")

    def _import(self, module: str) -> None:
        top = module.split(".")[0]
        self.found.commands.append(Command(top, ("import", module)))
        if top in modules.NETWORK or module.startswith("urllib.request"):
            self.found.effects.add("network")
        elif top in modules.RUNS:
            if top != "subprocess":
                self.found.unknown(f"{top} may run anything.")
        elif top not in modules.HARMLESS:
            self.found.unknown(f"What importing {top} does is not known.")

    # What is called

    def visit_Call(self, node: ast.Call) -> None:
        """Note what a call does, by the name of what is called."""
        function = node.func
        if isinstance(function, ast.Name):
            self._named(node, function.id)
        elif isinstance(function, ast.Attribute):
            self._method(node, function)
        elif isinstance(function, ast.Call) and _is_builtin(function.func, "getattr"):
            pass  # noted where it is visited
        elif not isinstance(function, ast.Lambda):
            self.found.undecided("It calls what cannot be known.")
        self.generic_visit(node)

    def _named(self, node: ast.Call, name: str) -> None:
        if name in self.functions:
            return
        origin = self.names.get(name, name)
        if "." in origin:
            module, _, name = origin.rpartition(".")
            self._function(node, module, name)
        elif name == "open" and name not in self.stored:
            self._open(node, 0)
        elif name in modules.BUILTINS_RUN and name not in self.stored:
            self._runs_text(node, name)
        elif name in self.stored and name not in self.defined:
            self.found.undecided(f"What {name} is cannot be known.")
        elif name not in self.stored and name not in self.names and not hasattr(builtins, name):
            self.found.undecided(f"What {name} does was said earlier, if at all.")

    def _runs_text(self, node: ast.Call, name: str) -> None:
        text = self.text(node.args[0]) if node.args else None
        if name in {"eval", "exec"} and text is not None:
            cwd = self.found.cwds[0]
            self.found.merge(analyse_python(text, self.functions, cwd=cwd, depth=self.depth + 1))
        if name not in {"vars", "help", "input"} or (name == "vars" and not node.args):
            self.found.undecided(f"What {name} does cannot be known.")

    def _method(self, node: ast.Call, function: ast.Attribute) -> None:
        module = self._module(function.value)
        if module is not None:
            self._function(node, module, function.attr)
            return
        name, owner = function.attr, function.value
        if name == "open":
            # A path, an archive, an image: the mode comes first or there is none.
            self._open(node, -1, owner)
        elif (
            name in modules.METHODS_ON_PATH
            and self._is_path(owner)
            and (place := self.path(owner)) is not None
        ):
            self._path_method(node, name, place)
        elif name in modules.READING | modules.WRITING | modules.DELETING | modules.MOVING:
            self._effect(node, name, owner)
        elif name in modules.CALLS:
            self._calls(node, name)
        elif name in {"save", "export"}:
            if node.args and not isinstance(node.args[0], ast.Call):
                self._target(node.args[0])
        elif name in {"execute", "executemany", "sql"}:
            self._sql(node)
        elif name in {"query", "eval"}:
            text = self.text(node.args[0]) if node.args else None
            if text is None or re.search(r"@[^\s]*\(|__|" + modules.SQL_WRITES, text, re.IGNORECASE):
                self.found.undecided(f"What .{name}() does cannot be known.")
        elif name.startswith("__") and name not in {"__init__", "__len__", "__str__", "__repr__"}:
            self.found.undecided(f"What .{name}() calls cannot be known.")

    def _is_path(self, node: ast.expr) -> bool:
        """Return whether an expression is a path object, and not a text."""
        if isinstance(node, ast.Name):
            value = self.constants.get(node.id)
            return value is not None and not isinstance(value, ast.Name) and self._is_path(value)
        return isinstance(node, ast.Call) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))

    def _function(self, node: ast.Call, module: str, name: str) -> None:
        top = module.split(".")[0]
        if (
            top in modules.NETWORK
            or (top == "urllib" and "request" in module)
            or name in {"urlopen", "urlretrieve"}
        ):
            self._reach(node, name)
        elif name in _RUNNERS and top in {"subprocess", "os"}:
            self._command(node, name)
        elif top in modules.RUNS:
            self.found.unknown(f"{module}.{name} may run anything.")
        elif name == "open":
            self._open(node, 0, flags=top == "os")
        elif name in {"ZipFile", "GzipFile", "BZ2File", "LZMAFile", "TarFile", "FileIO"}:
            self._open(node, 0)
        elif top == "sqlite3" and name == "connect":
            self.databases += self._known(node.args[:1])
            self.found.read(*self.databases)
        elif top == "os" and name == "chdir":
            place = self.path(node.args[0]) if node.args else None
            self.found.enter(place)
        elif name in modules.CALLS or (name in {"load", "loads"} and top in {"yaml"} and not _is_safe(node)):
            self._calls(node, name)
        elif top == "os" and name in {"close", "write", "open", "fdopen", "dup", "dup2", "sendfile"}:
            self.found.write()
            self.found.vague(f"What os.{name} writes cannot be known.")
        elif top == "numpy" and name == "load" and any(word.arg == "allow_pickle" for word in node.keywords):
            self.found.unknown("numpy.load may run what it loads.")
        elif top == "numpy" and name in {"save", "memmap"}:
            self._target(node.args[0] if node.args else None)
        elif name in {"attrgetter", "methodcaller"}:
            text = self.text(node.args[0]) if node.args else None
            if text is None or "." in text or text in _telling():
                self.found.undecided("It looks an attribute up by a name that cannot be known.")
        elif top == "duckdb" and name in {"sql", "query", "execute"}:
            self._sql(node)
        elif name in modules.MOVING and top not in {"dataclasses", "copy", "numpy", "operator"}:
            self._moves(node.args)
        elif top == "shutil" and name in {"copy", "copy2", "copyfile", "copytree"}:
            self.found.read(*self._known(node.args[:1]))
            self._target(_argument(node, 1, "dst"))
        else:
            self._effect(node, name, None)

    def _path_method(self, node: ast.Call, name: str, place: str) -> None:
        if name in {"unlink", "rmdir"}:
            self.found.delete(place)
        elif name in {"rename", "replace"}:
            self.found.delete(place)
            self._target(node.args[0] if node.args else None)
        else:
            self.found.write(place)
            if name.endswith("link_to"):
                self.found.read(*self._known(node.args[:1]))

    def _effect(self, node: ast.Call, name: str, owner: ast.expr | None) -> None:
        """Note what a function does that is known by its name, or a method of what is not known."""
        given = [*node.args, *(word.value for word in node.keywords if word.arg in _FILES)]
        first = given[0] if given else None
        if name in modules.DELETING:
            if name == "remove" and owner is not None and self._is_collection(owner):
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

    def _is_collection(self, node: ast.expr) -> bool:
        value = self.constants.get(node.id) if isinstance(node, ast.Name) else node
        if isinstance(value, ast.Call):
            return isinstance(value.func, ast.Name) and value.func.id in {
                "list",
                "set",
                "sorted",
                "bytearray",
            }
        return isinstance(value, ast.List | ast.Set | ast.ListComp | ast.SetComp)

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

    def _sql(self, node: ast.Call) -> None:
        text = self.text(node.args[0]) if node.args else None
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

    def _calls(self, node: ast.Call, name: str) -> None:
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
            words = [(item, self.path(item)) for item in given.elts]
            runner.run([Word(text or ast.unparse(item), dynamic=text is None) for item, text in words])
        elif given is not None and (text := self.text(given)) is not None:
            walk(text, runner)
        else:
            self.found.undecided(f"What {name} runs cannot be known.")

    # What is opened, read and written

    def _open(self, node: ast.Call, at: int, owner: ast.expr | None = None, *, flags: bool = False) -> None:
        mode = _argument(node, at + 1, "mode")
        target = owner if at < 0 else _argument(node, 0, "file")
        if at < 0 and mode is not None and not re.fullmatch(r"[rwaxbtU+]{1,4}", self.text(mode) or "w"):
            mode = _argument(node, 1, "mode")  # of an archive, whose members have names
        written = self.text(mode) if mode is not None else "r"
        if any(word.arg is None for word in node.keywords) or any(
            isinstance(item, ast.Starred) for item in node.args
        ):
            written = None
        if at < 0 and owner is not None and (self.path(owner) is None or not self._is_path(owner)):
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
        place = self.path(node)
        self.found.effects.add("reads")
        if place is None:
            return
        if re.match(r"[a-z0-9+]{2,}://", place, re.IGNORECASE):
            self.found.reach(host_of(place))
        elif "\n" not in place:
            self.found.read(place)

    def _target(self, node: ast.expr | None, *, delete: bool = False) -> None:
        self.found.effects.add("deletes" if delete else "writes")
        place = None if node is None else self.path(node)
        if place is not None:
            (self.found.delete if delete else self.found.write)(place)
        elif not (isinstance(node, ast.Name) and self._is_buffer(node.id)):
            self.found.vague("Which file is written cannot be known.")

    def _is_buffer(self, name: str) -> bool:
        value = self.constants.get(name)
        return isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in {
            "BytesIO",
            "StringIO",
        }

    def _moves(self, arguments: list[ast.expr]) -> None:
        self.found.effects.update(("writes", "deletes"))
        for node, delete in zip(arguments[:2], (True, False), strict=False):
            self._target(node, delete=delete)

    def _known(self, nodes: list[ast.expr]) -> list[str]:
        return [place for node in nodes if (place := self.path(node)) is not None]

    def _reach(self, node: ast.Call, name: str) -> None:
        self.found.effects.add("network")
        texts = [
            *node.args,
            *(word.value for word in node.keywords if word.arg in {"url", "host", "address"}),
        ]
        hosts = [host_of(self._start(item) or "") for item in texts]
        if not any(hosts) and name in {
            "create_connection",
            "SMTP",
            "SMTP_SSL",
            "FTP",
            "HTTPSConnection",
            "HTTPConnection",
        }:
            first = (
                texts[0].elts[0]
                if texts and isinstance(texts[0], ast.Tuple) and texts[0].elts
                else (texts or [None])[0]
            )
            text = self.text(first) if first is not None else None
            hosts = [host_of(text, bare=True)] if text else []
        if any(hosts):
            self.found.reach(*hosts)
        elif name in _CLIENTS or name == "create_connection":
            self.found.vague("Which host is reached cannot be known.")
        if name in {"urlretrieve"} and len(node.args) > 1:
            self._target(node.args[1])

    def _start(self, node: ast.expr) -> str | None:
        """Return a text, or its beginning when that names a whole host."""
        text = self.text(node)
        if (
            text is None
            and isinstance(node, ast.JoinedStr)
            and node.values
            and isinstance(node.values[0], ast.Constant)
        ):
            start = str(node.values[0].value)
            return start if re.match(r"\w+://[^/]+/", start) else None
        if text is None and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            start = self._start(node.left)
            return start if start and re.match(r"\w+://[^/]+/", start) else None
        return text

    # What gets around the names

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note attributes by which code gets at what it did not import, and functions that are handed on."""
        module, name = self._module(node.value), node.attr
        if name in modules.SECRET and not (name in {"__dict__", "__class__"} and module is None):
            self.found.undecided(f".{name} gives access to anything.")
        elif (
            name in modules.DELETING | modules.METHODS_ON_PATH | modules.CALLS | _RUNNERS
            and not self._is_called(node)
        ):
            if module is not None or name in _HANDED:
                self.found.undecided(f"It hands {name} on.")
        elif (
            module == "sys"
            and name in {"path", "stdout", "stderr", "meta_path"}
            and not isinstance(node.ctx, ast.Load)
        ):
            self.found.unknown(f"It changes sys.{name}.")
        elif module == "sys" and name == "path":
            self.found.unknown("It may import modules from other folders.")
        if isinstance(node.ctx, ast.Store | ast.Del) and module is not None:
            self.found.unknown(f"It changes {module}.")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Note changes of the environment."""
        if isinstance(node.ctx, ast.Store | ast.Del) and ast.unparse(node.value).endswith("environ"):
            self.found.unknown("It changes the environment.")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Note modules and functions that are handed on under another name."""
        name = node.id
        if not isinstance(node.ctx, ast.Load) or name in self.stored or self._is_called(node):
            return
        origin = self.names.get(name, "")
        if name in modules.BUILTINS_RUN | {"open", "__builtins__", "__loader__", "__spec__", "getattr"} or (
            (origin and "." not in origin) or origin.split(".")[0] in {"os", "subprocess", "shutil"}
        ):
            self.found.undecided(f"It hands {name} on.")

    def visit(self, node: ast.AST) -> None:
        """Visit a node, and note where a function is only called."""
        if isinstance(node, ast.Call):
            self.called.add(id(node.func))
            if _is_builtin(node.func, "getattr") and "getattr" not in self.stored:
                self._getattr(node)
        elif isinstance(node, ast.Attribute):
            self.called.add(id(node.value))
        super().visit(node)

    def _getattr(self, node: ast.Call) -> None:
        name = self.text(node.args[1]) if len(node.args) > 1 else None
        if name is None or self._module(node.args[0]) is not None or name in _telling():
            self.found.undecided("It looks an attribute up by a name that cannot be known.")

    def _is_called(self, node: ast.AST) -> bool:
        return id(node) in self.called

    def _module(self, node: ast.expr) -> str | None:
        """Return the module that an expression names."""
        if isinstance(node, ast.Name):
            # What was imported earlier in the same session goes by its own name.
            known = node.id in modules.TELLING and node.id not in self.stored
            return self.names.get(node.id, node.id if known else None)
        if isinstance(node, ast.Attribute) and (module := self._module(node.value)) is not None:
            return f"{module}.{node.attr}"
        return None

    # What texts are

    def text(self, node: ast.expr) -> str | None:
        """Return the text that an expression is, when it is known."""
        if isinstance(node, ast.Constant):
            value = node.value
            return (
                value
                if isinstance(value, str)
                else value.decode(errors="replace")
                if isinstance(value, bytes)
                else (str(value) if isinstance(value, int) else None)
            )
        if isinstance(node, ast.Name):
            if node.id not in self.constants or node.id in self.resolving:
                return None
            self.resolving.add(node.id)
            try:
                return self.path(self.constants[node.id])
            finally:
                self.resolving.discard(node.id)
        if isinstance(node, ast.JoinedStr):
            parts = [self.text(part) for part in node.values]
            return None if None in parts else "".join(part or "" for part in parts)
        if isinstance(node, ast.FormattedValue):
            return None if node.format_spec or node.conversion != -1 else self.text(node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.text(node.left), self.text(node.right)
            return None if left is None or right is None else left + right
        return None

    def path(self, node: ast.expr) -> str | None:
        """Return the path that an expression is, when it is known."""
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if (
                name.split(".")[-1] in _PATHS
                or name in {"str", "os.fspath", "os.path.join"}
                or name.endswith(".joinpath")
            ):
                parts = [self.path(item) for item in node.args]
                if name.endswith(".joinpath"):
                    parts.insert(
                        0, self.path(node.func.value) if isinstance(node.func, ast.Attribute) else None
                    )
                return (
                    None
                    if None in parts or node.keywords
                    else posixpath.join(*([part or "" for part in parts] or ["."]))
                )
            if name in {"Path.home", "pathlib.Path.home"}:
                return "~"
            if name in {"Path.cwd", "pathlib.Path.cwd", "os.getcwd"}:
                return "."
            if name in {"os.path.expanduser", "os.path.abspath", "os.path.realpath"} and len(node.args) == 1:
                return self.path(node.args[0])
            if name.endswith((".resolve", ".absolute", ".expanduser")) and isinstance(
                node.func, ast.Attribute
            ):
                return self.path(node.func.value)
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            left, right = self.path(node.left), self.path(node.right)
            return None if left is None or right is None else posixpath.join(left, right)
        return self.text(node)


def _stored(tree: ast.Module) -> dict[str, list[ast.expr | None]]:
    """Return the names that are given a value, each with the values at the top, and None for others."""
    found: dict[str, list[ast.expr | None]] = {}
    plain: dict[int, ast.expr] = {}
    for statement in tree.body:
        if (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            plain[id(statement.targets[0])] = statement.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.setdefault(node.id, []).append(plain.get(id(node)))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.setdefault(node.name, []).append(None)
        elif isinstance(node, ast.arg):
            found.setdefault(node.arg, []).append(None)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.setdefault(node.name, []).append(None)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            for name in node.names:
                found.setdefault(name, []).append(None)
    return found


def _defined(tree: ast.Module, stored: dict[str, list[ast.expr | None]]) -> set[str]:
    """Return the names that are nothing but functions and classes that are defined here."""
    count: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            count[node.name] = count.get(node.name, 0) + 1
    for name, values in stored.items():
        count[name] = count.get(name, 0) + sum(isinstance(value, ast.Lambda) for value in values)
    return {name for name, values in stored.items() if count.get(name, 0) == len(values)}


def _telling() -> frozenset[str]:
    return modules.SECRET | modules.CALLS | modules.DELETING | modules.MOVING | modules.WRITING


def _argument(node: ast.Call, at: int, name: str) -> ast.expr | None:
    if 0 <= at < len(node.args):
        return node.args[at]
    return next((word.value for word in node.keywords if word.arg == name), None)


def _is_builtin(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_safe(node: ast.Call) -> bool:
    return any(
        "Safe" in ast.unparse(item) for item in (*node.args[1:], *(word.value for word in node.keywords))
    )
