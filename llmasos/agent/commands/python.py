"""Python: what a piece of code does, by its syntax tree."""

from __future__ import annotations

import ast
import builtins
import re
import sys
import warnings
from collections.abc import Collection

from . import modules
from .allowed import OPAQUE, is_allowed
from .calls import ARCHIVES
from .imported import Imported
from .network import links_in
from .program import Findings, Program
from .shapes import OPENERS, shape_of
from .table import names
from .values import Values

LONGEST = 50_000
_DEEPEST = 12
_HANDED = (modules.DELETING | modules.METHODS_ON_PATH | {"system", "popen", "Popen"}) - {
    "remove",
    "replace",
    "touch",
}
_WRITERS = re.compile(r"(write|to|sink)_[a-z]+|save_(text|html|svg|\w*file)")
_TAKERS = names("map filter reduce partial starmap submit Thread Timer apply accumulate")


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
        visitor = _Visitor(found, tree, frozenset(functions), depth)
        visitor.visit(tree)
        visitor.finish()
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


class _Visitor(Imported):
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
        self.looked_at: set[int] = set()

    # What is called

    def visit_Call(self, node: ast.Call) -> None:
        """Note what a call does, by the name of what is called."""
        function = node.func
        if isinstance(function, ast.Name):
            self._named(node, function.id)
        elif isinstance(function, ast.Attribute):
            self._method(node, function)
        elif isinstance(function, ast.Call) and _is_builtin(function.func, "getattr"):
            if len(function.args) > 1 and (name := self.values.text(function.args[1])) is not None:
                self._method(node, ast.Attribute(function.args[0], name, ast.Load()))
        elif not (isinstance(function, ast.Lambda) or self.values.is_chosen(function)):
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

    def _runs_text(self, node: ast.Call, name: str) -> None:
        text = self.values.text(node.args[0]) if node.args else None
        if name in {"eval", "exec"} and text is not None:
            cwd = self.found.cwds[0]
            self.found.merge(analyse_python(text, self.functions, cwd=cwd, depth=self.depth + 1))
        if name not in {"vars", "help", "input"} or (name == "vars" and not node.args):
            self.found.undecided(f"What {name} does cannot be known.")

    def _method(self, node: ast.Call, function: ast.Attribute) -> None:
        name, owner = function.attr, function.value
        module = self.module_of(owner)
        if module is not None:
            self.call_of(node, module, name)
        elif name == "open":
            # A path, an archive, an image: the mode comes first or there is none.
            self.opens(node, -1, owner)
            self.is_given(node, name, "reads")
        elif (
            name in modules.METHODS_ON_PATH
            and self.values.is_path(owner)
            and (place := self.values.path(owner)) is not None
        ):
            self.path_method(node, name, place)
        elif not self.values.own.has(owner, name, self.values.constants):
            self._method_by_name(node, name, owner)

    def _method_by_name(self, node: ast.Call, name: str, owner: ast.expr) -> None:
        self.is_given(node, name, shape_of(name))
        if self.touches(node, name, owner):
            pass
        elif name in modules.CALLS:
            self.runs(node, name)
        elif name in {"write", "dump"}:
            self._puts(node, name, owner)
        elif name == "backup":
            self.backs_up()
        elif name in {"execute", "executemany", "sql"}:
            self.asks_database(node)
        elif name in {"query", "eval"}:
            self.asks_table(node, name)
        elif name == "read" and node.args and isinstance(node.args[0], ast.Constant):
            if isinstance(node.args[0].value, str):
                self.fetches(node.args[0])
        elif name == "show" and self.uses("PIL"):
            self.found.unknown("It opens a program that shows images.")
        elif name.startswith("__") and name not in {"__len__", "__str__", "__repr__"}:
            if name == "__init__" and self._is_parent(owner):
                return
            self.found.undecided(f"What .{name}() calls cannot be known.")
        else:
            self.by_shape(node, name, None)

    def _is_parent(self, owner: ast.expr) -> bool:
        return (isinstance(owner, ast.Call) and _is_builtin(owner.func, "super")) or (
            isinstance(owner, ast.Name) and owner.id in self.values.defined
        )

    def _puts(self, node: ast.Call, name: str, owner: ast.expr) -> None:
        """Note a path that something is written to, which is no text for a file that is open."""
        if name == "dump":
            if len(node.args) == 1:
                self.target(node.args[0])
        elif self.uses("zipfile"):
            self.found.read(*self.known(node.args[:1]))
        elif self.uses("xml", "lxml") or len(node.args) > 1 or node.keywords:
            self.target(node.args[0] if node.args else None)
        elif isinstance(owner, ast.Name) and owner.id not in self.values.stored:
            self.found.effects.add("writes")
            self.found.vague(f"What {owner.id}.write() writes was said earlier.")

    # What gets around the names

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note attributes by which code gets at what it did not import, and functions that are handed on."""
        module, name = self.module_of(node.value), node.attr
        if name in modules.SECRET and not (
            module is None and (name == "__dict__" or (name == "__class__" and id(node) in self.looked_at))
        ):
            self.found.undecided(f".{name} gives access to anything.")
        elif module is not None and self._is_door(module, name):
            self.found.unknown(f"{module}.{name} may give access to anything.")
        elif isinstance(node.ctx, ast.Load) and not self._is_called(node) and self._is_handed(module, name):
            self.found.undecided(f"It hands {name} on.")
        elif module == "sys" and name in {"path", "stdout", "stderr"} and not isinstance(node.ctx, ast.Load):
            self.found.unknown(f"It changes sys.{name}.")
        elif module == "sys" and name == "path":
            self.found.unknown("It may import modules from other folders.")
        if (
            isinstance(node.ctx, ast.Store | ast.Del)
            and module is not None
            and not module.startswith(("pandas.options.display", "pandas.options.mode"))
        ):
            self.found.unknown(f"It changes {module}.")
        self.generic_visit(node)

    def _is_door(self, module: str, name: str) -> bool:
        """Return whether a module's name leads to what is not known, or to another module."""
        top = module.split(".")[0]
        return top not in modules.NETWORK | modules.RUNS and (
            not is_allowed(module, name) or name in modules.DOORS
        )

    def _is_handed(self, module: str | None, name: str) -> bool:
        """Return whether a function that is not called where it stands does more than calculate."""
        if module is None:
            return name in _HANDED or bool(_WRITERS.fullmatch(name) and modules.is_telling(name))
        if name in OPAQUE or name in modules.RUNNERS | modules.METHODS_ON_PATH:
            return True
        if module.split(".")[0] in sys.stdlib_module_names:
            return name in modules.TELLING_NAMES | ARCHIVES and not module.startswith("sys.std")
        shape = shape_of(name)
        return modules.is_telling(name) or shape == "runs" or bool(shape and OPENERS.fullmatch(name))

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Note changes of the environment, and of settings that load programs."""
        if isinstance(node.ctx, ast.Store | ast.Del):
            place = ast.unparse(node.value)
            if place.endswith("environ"):
                self.found.unknown("It changes the environment.")
            elif place.endswith("rcParams") and (
                (setting := self.values.text(node.slice)) is None or re.search(modules.SETTINGS_RUN, setting)
            ):
                self.found.unknown("It sets which programs a library runs.")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Note modules and functions that are handed on under another name."""
        name = node.id
        if name in modules.REFLECTION:
            self.found.undecided(f"{name} gives access to anything.")
        if not isinstance(node.ctx, ast.Load):
            if name in modules.CONVENTIONS and name not in self.names:
                self.found.undecided(f"It calls something else {name}.")
            return
        if name in self.values.stored or self._is_called(node):
            return
        origin = self.names.get(name, "")
        top, _, last = origin.rpartition(".")
        if (
            name in modules.BUILTINS_RUN | {"open", "getattr"}
            or (origin and not top)
            or top.split(".")[0] in {"os", "subprocess", "shutil"}
            or (top and self._is_handed(top, last))
        ):
            self.found.undecided(f"It hands {name} on.")

    def visit(self, node: ast.AST) -> None:
        """Visit a node, and note where a function is only called."""
        if isinstance(node, ast.Call):
            self.called.add(id(node.func))
            if _is_builtin(node.func, "getattr") and "getattr" not in self.values.stored:
                self._getattr(node)
            if getattr(node.func, "attr", getattr(node.func, "id", "")) in _TAKERS and any(
                isinstance(item, ast.Call) and _is_builtin(item.func, "type") for item in node.args
            ):
                self.found.undecided("It calls a type that cannot be known.")
        elif isinstance(node, ast.Attribute):
            self.called.add(id(node.value))
            if node.attr in {"__name__", "__qualname__", "__doc__", "__module__"}:
                self.looked_at.add(id(node.value))
        elif isinstance(node, ast.Compare):
            self.looked_at.update(map(id, (node.left, *node.comparators)))
        super().visit(node)

    def _getattr(self, node: ast.Call) -> None:
        name = self.values.text(node.args[1]) if len(node.args) > 1 else None
        if name is None or self.module_of(node.args[0]) is not None or modules.is_telling(name):
            self.found.undecided("It looks an attribute up by a name that cannot be known.")

    def _is_called(self, node: ast.AST) -> bool:
        return id(node) in self.called


def _is_builtin(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
