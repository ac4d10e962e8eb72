"""Python: what a piece of code does, by its syntax tree."""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Collection

from . import modules
from .emptying import emptied_in
from .handed import Handed, is_builtin
from .network import links_in
from .program import Findings, Program
from .shapes import shape_of
from .values import Values

LONGEST = 50_000
_DEEPEST = 12


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
        found.empty(*visitor.known([*emptied_in(tree, visitor.values)]))
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


class _Visitor(Handed):
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

    # What is called

    def visit_Call(self, node: ast.Call) -> None:
        """Note what a call does, by the name of what is called."""
        function = node.func
        if isinstance(function, ast.Name):
            self._named(node, function.id)
        elif isinstance(function, ast.Attribute):
            self._method(node, function)
        elif isinstance(function, ast.Call) and is_builtin(function.func, "getattr"):
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
            and (place := self.owned(owner)) is not None
            and not (name == "replace" and len(node.args) != 1)
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
        return (isinstance(owner, ast.Call) and is_builtin(owner.func, "super")) or (
            isinstance(owner, ast.Name)
            and (owner.id in self.values.defined or isinstance(getattr(builtins, owner.id, None), type))
            and owner.id not in self.values.stored.keys() - self.values.defined
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
