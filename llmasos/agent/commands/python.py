"""Python: what a piece of code does, by its syntax tree."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Collection

from . import modules
from .calls import Calls
from .network import links_in
from .program import Command, Findings, Program
from .values import Values

LONGEST = 50_000
_DEEPEST = 12
_HANDED = (modules.DELETING | modules.METHODS_ON_PATH | {"system", "popen", "Popen"}) - {
    "remove",
    "replace",
    "touch",
}


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
    if len(code) > LONGEST or depth > _DEEPEST:
        found.undecided("It is too long to be understood.")
        return found.program()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        _Visitor(found, tree, frozenset(functions), depth).visit(tree)
        if "network" in found.effects:
            _note_links(found, tree)
    except SyntaxError:
        found.undecided("It is not what Python understands.")
    except Exception as error:  # whatever goes wrong here, the code may do anything
        found.undecided(f"It cannot be understood ({type(error).__name__}).")
    if not found.effects:
        found.effects.add("reads")
    return found.program()


def _note_links(found: Findings, tree: ast.Module) -> None:
    """Note the hosts of all links, whichever of them is reached."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.reach(*links_in(node.value))
    if not found.program().hosts:
        found.vague("Which host is reached cannot be known.")


class _Visitor(Calls, ast.NodeVisitor):
    """Visits a syntax tree.

    Args:
        found: Where it is noted what is found.
        tree: The tree.
        functions: Functions whose calls are decided on by themselves.
        depth: How many texts lie around this one.
    """

    def __init__(self, found: Findings, tree: ast.Module, functions: frozenset[str], depth: int) -> None:
        super().__init__(found, Values(tree), depth)
        self.functions = functions - self.values.stored.keys()
        self.called: set[int] = set()

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
            if alias.name in modules.SECRET:
                self.found.undecided(f"It imports {alias.name} of {module}.")
            elif alias.name == "*" or alias.name in modules.CALLS:
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
            self.call_of(node, module, name)
        elif name == "open" and name not in self.values.stored:
            self.opens(node, 0)
        elif name in modules.BUILTINS_RUN and name not in self.values.stored:
            self._runs_text(node, name)
        elif name in self.values.stored and name not in self.values.defined:
            self.found.undecided(f"What {name} is cannot be known.")
        elif name not in self.values.stored and name not in self.names and not hasattr(builtins, name):
            self.found.undecided(f"What {name} does was said earlier, if at all.")

    def _uses(self, *packages: str) -> bool:
        """Return whether one of these packages is imported."""
        return any(origin.split(".")[0] in packages for origin in self.names.values())

    def _runs_text(self, node: ast.Call, name: str) -> None:
        text = self.values.text(node.args[0]) if node.args else None
        if name in {"eval", "exec"} and text is not None:
            cwd = self.found.cwds[0]
            self.found.merge(analyse_python(text, self.functions, cwd=cwd, depth=self.depth + 1))
        if name not in {"vars", "help", "input"} or (name == "vars" and not node.args):
            self.found.undecided(f"What {name} does cannot be known.")

    def _method(self, node: ast.Call, function: ast.Attribute) -> None:
        module = self.module_of(function.value)
        if module is not None:
            self.call_of(node, module, function.attr)
            return
        name, owner = function.attr, function.value
        if name == "open":
            # A path, an archive, an image: the mode comes first or there is none.
            self.opens(node, -1, owner)
        elif (
            name in modules.METHODS_ON_PATH
            and self.values.is_path(owner)
            and (place := self.values.path(owner)) is not None
        ):
            self.path_method(node, name, place)
        elif name in modules.READING | modules.WRITING | modules.DELETING | modules.MOVING:
            self.effect_of(node, name, owner)
        elif name in modules.CALLS:
            self.runs(node, name)
        elif name in {"write", "dump"} and (name == "dump" or self._uses("xml", "lxml")):
            if len(node.args) == 1 or name == "write":
                self._target(node.args[0] if node.args else None)
        elif name == "backup":
            self.found.write(*self.databases)
            self.found.vague("Which database is written cannot be known.")
        elif name in {"save", "export"}:
            if node.args and not isinstance(node.args[0], ast.Call):
                self._target(node.args[0])
        elif name in {"execute", "executemany", "sql"}:
            self.asks_database(node)
        elif name in {"query", "eval"}:
            text = self.values.text(node.args[0]) if node.args else None
            if text is None or re.search(r"@[^\s]*\(|__|" + modules.SQL_WRITES, text, re.IGNORECASE):
                self.found.undecided(f"What .{name}() does cannot be known.")
        elif name.startswith("__") and name not in {"__init__", "__len__", "__str__", "__repr__"}:
            self.found.undecided(f"What .{name}() calls cannot be known.")

    # What gets around the names

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note attributes by which code gets at what it did not import, and functions that are handed on."""
        module, name = self.module_of(node.value), node.attr
        if name in modules.SECRET and not (name in {"__dict__", "__class__"} and module is None):
            self.found.undecided(f".{name} gives access to anything.")
        elif (
            name in modules.DELETING | modules.METHODS_ON_PATH | modules.CALLS | modules.RUNNERS
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
        if not isinstance(node.ctx, ast.Load) or name in self.values.stored or self._is_called(node):
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
            if _is_builtin(node.func, "getattr") and "getattr" not in self.values.stored:
                self._getattr(node)
        elif isinstance(node, ast.Attribute):
            self.called.add(id(node.value))
        super().visit(node)

    def _getattr(self, node: ast.Call) -> None:
        name = self.values.text(node.args[1]) if len(node.args) > 1 else None
        if name is None or self.module_of(node.args[0]) is not None or name in modules.TELLING_NAMES:
            self.found.undecided("It looks an attribute up by a name that cannot be known.")

    def _is_called(self, node: ast.AST) -> bool:
        return id(node) in self.called


def _is_builtin(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
