"""Python: what a piece of code does, by its syntax tree."""

from __future__ import annotations

import ast
import posixpath
import re
import warnings
from collections.abc import Collection

from . import modules
from .network import host_of
from .program import Command, Findings, Program

_LONGEST = 50_000
_DEEPEST = 12
_CLIENTS = frozenset("get post put delete head patch options request urlopen urlretrieve stream".split())
_PATHS = frozenset({"Path", "PurePath", "PosixPath"})
_RUNNERS = frozenset("run call check_call check_output Popen getoutput getstatusoutput system popen".split())


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
        self.names: dict[str, str] = {}
        self.constants = {
            name: nodes[0] for name, nodes in self.stored.items() if len(nodes) == 1 and nodes[0] is not None
        }
        self.resolving: set[str] = set()
        self.called: set[int] = set()

    # What is imported

    def visit_Import(self, node: ast.Import) -> None:
        """Note the modules that are imported."""
        for alias in node.names:
            self._import(alias.name)
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
        elif name == "open":
            self._open(node, 0)
        elif name in modules.BUILTINS_RUN and name not in self.stored:
            self._runs_text(node, name)

    def _runs_text(self, node: ast.Call, name: str) -> None:
        text = self.text(node.args[0]) if node.args else None
        if name in {"eval", "exec"} and text is not None:
            self.found.merge(
                analyse_python(text, self.functions, cwd=self.found.cwds[0], depth=self.depth + 1)
            )
        elif name in {"vars", "globals", "locals"} and not node.args:
            self.found.unknown(f"{name}() hands out everything.")
        elif name == "__import__" and text is not None:
            self._import(text)
        elif name not in {"vars", "help", "input"}:
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
        elif name in modules.METHODS_ON_PATH and (place := self.path(owner)) is not None:
            self._path_method(node, name, place)
        elif (
            name in modules.READING
            or name in modules.WRITING
            or name in modules.DELETING
            or name in modules.MOVING
        ):
            self._effect(node, name, bound=True)
        elif name in modules.CALLS:
            self._calls(node, name)
        elif name in {"save", "dump", "writelines", "write", "export"}:
            self._saves(node, name)
        elif name in {"execute", "executemany", "sql", "query"}:
            self._sql(node)

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
        elif name == "open" and top in {"builtins", "io", "codecs", "gzip", "bz2", "lzma", "tarfile", "os"}:
            self._open(node, 0, flags=top == "os")
        elif name in {"ZipFile", "GzipFile", "BZ2File", "LZMAFile", "TarFile", "FileIO"}:
            self._open(node, 0)
        elif top == "sqlite3" and name == "connect":
            self.found.write(*self._paths(node.args[:1]))
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
        elif name in modules.MOVING and top in {"os", "shutil"}:
            self._moves(node.args)
        elif top == "shutil" and name in {"copy", "copy2", "copyfile", "copytree"}:
            self.found.read(*self._known(node.args[:1]))
            self._target(_argument(node, 1, "dst"))
        elif (
            top
            in {
                "os",
                "shutil",
                "pandas",
                "numpy",
                "tempfile",
                "logging",
                "matplotlib",
                "glob",
                "PIL",
                "openpyxl",
                "polars",
            }
            or name in modules.WRITING | modules.DELETING
        ):
            self._effect(node, name, bound=False)

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

    def _effect(self, node: ast.Call, name: str, *, bound: bool) -> None:
        first = (
            node.args[0]
            if node.args
            else next((word.value for word in node.keywords if _names_file(word.arg)), None)
        )
        if name in modules.DELETING:
            # Lists and sets have a `remove`, too.
            if bound and name == "remove":
                return
            self.found.effects.add("deletes")
            if bound:
                self.found.vague(f"What .{name}() deletes cannot be known.")
            elif first is not None:
                self._target(first, delete=True)
        elif name in modules.MOVING:
            if name == "replace" and (len(node.args) != 1 or node.keywords):
                return  # of a string, a table or a date
            if bound and name == "rename" and (not node.args or node.keywords):
                return  # of a table
            self.found.effects.update(("writes", "deletes"))
            self.found.vague(f"What .{name}() moves cannot be known.")
        elif name in modules.WRITING:
            self._writes(node, name, first, bound=bound)
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

    def _saves(self, node: ast.Call, name: str) -> None:
        if name in {"write", "writelines"}:
            return
        if name == "dump":
            return  # to a file that was opened
        if node.args and not isinstance(node.args[0], ast.Call):
            self._target(node.args[0])

    def _sql(self, node: ast.Call) -> None:
        text = self.text(node.args[0]) if node.args else None
        if text is None or not re.match(r"\s*(select|with|explain|pragma table_info)\b", text, re.IGNORECASE):
            self.found.effects.add("writes")
            if text is None:
                self.found.vague("What a database is told cannot be known.")

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
        written = self.text(mode) if mode is not None else "r"
        if any(word.arg is None for word in node.keywords) or any(
            isinstance(item, ast.Starred) for item in node.args
        ):
            written = None
        if at < 0 and owner is not None and self.path(owner) is None and self._module(owner) is None:
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

    def _paths(self, nodes: list[ast.expr]) -> list[str]:
        for node in nodes:
            if self.path(node) is None:
                self.found.vague("Which file is written cannot be known.")
        return self._known(nodes)

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
        module = self._module(node.value)
        if node.attr in modules.SECRET and not (node.attr == "__dict__" or (node.attr == "__class__")):
            self.found.undecided(f".{node.attr} gives access to anything.")
        elif node.attr in {"__dict__"} and module is not None:
            self.found.undecided("It looks functions up by what cannot be known.")
        elif module is not None and module.split(".")[0] in {"os", "subprocess", "shutil"}:
            if (
                node.attr in modules.CALLS | modules.DELETING | modules.MOVING | _RUNNERS
                and not self._is_called(node)
            ):
                self.found.undecided(f"It hands {module}.{node.attr} on.")
            if node.attr == "environ" and isinstance(node.ctx, ast.Store):
                self.found.unknown("It changes the environment.")
        if isinstance(node.ctx, ast.Store | ast.Del) and module is not None:
            self.found.unknown(f"It changes {module}.")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Note changes of the environment."""
        if isinstance(node.ctx, ast.Store | ast.Del) and ast.unparse(node.value).endswith("environ"):
            self.found.unknown("It changes the environment.")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Note built-in functions that are handed on under another name."""
        if isinstance(node.ctx, ast.Load) and node.id not in self.stored and not self._is_called(node):
            if node.id in modules.BUILTINS_RUN | {
                "open",
                "__builtins__",
                "__loader__",
                "__spec__",
                "getattr",
            }:
                self.found.undecided(f"It hands {node.id} on.")
            elif (
                self.names.get(node.id, "").split(".")[0] in {"os", "subprocess", "shutil"}
                and "." in self.names[node.id]
            ):
                self.found.undecided(f"It hands {node.id} on.")

    def visit(self, node: ast.AST) -> None:
        """Visit a node, and note where a function is only called."""
        if isinstance(node, ast.Call):
            self.called.add(id(node.func))
            if _is_builtin(node.func, "getattr") and "getattr" not in self.stored:
                self._getattr(node)
        super().visit(node)

    def _getattr(self, node: ast.Call) -> None:
        name = self.text(node.args[1]) if len(node.args) > 1 else None
        if name is None or self._module(node.args[0]) is not None or name in modules.SECRET | modules.CALLS:
            self.found.undecided("It looks an attribute up by a name that cannot be known.")

    def _is_called(self, node: ast.AST) -> bool:
        return id(node) in self.called

    def _module(self, node: ast.expr) -> str | None:
        """Return the module that an expression names."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
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


def _is_output(node: ast.expr) -> bool:
    return "stdout" in ast.unparse(node) or "stderr" in ast.unparse(node)


def _names_file(name: str | None) -> bool:
    return name in {
        "path",
        "path_or_buf",
        "fname",
        "buf",
        "filename",
        "excel_writer",
        "file",
        "filepath",
        "dst",
        "io",
        "filepath_or_buffer",
        "name",
    }
