"""What is handed on in Python: functions and modules that get around their names."""

from __future__ import annotations

import ast
import re
import sys

from . import modules
from .allowed import OPAQUE, is_allowed
from .calls import ARCHIVES
from .files import argument
from .imported import Imported
from .program import Findings
from .shapes import OPENERS, shape_of
from .table import names
from .values import Values

_HANDED = (modules.DELETING | modules.METHODS_ON_PATH | {"system", "popen", "Popen"}) - {
    "remove",
    "replace",
    "touch",
}
_WRITERS = re.compile(r"(write|to|sink)_[a-z]+|save_(text|html|svg|\w*file)")
_TAKERS = names("map reduce partial starmap submit Thread to_thread callback finalize call_soon cmp_to_key")


class Handed(Imported):
    """Visits names and attributes, and notes which of them are handed on.

    Args:
        found: Where it is noted.
        values: What the code's expressions are.
        depth: How many texts lie around this one.
    """

    def __init__(self, found: Findings, values: Values, depth: int) -> None:
        super().__init__(found, values, depth)
        self.called: set[int] = set()
        self.looked_at: set[int] = set()

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
            if is_builtin(node.func, "getattr") and "getattr" not in self.values.stored:
                self._getattr(node)
            self._takes(node, getattr(node.func, "attr", getattr(node.func, "id", "")))
        elif isinstance(node, ast.Attribute):
            self.called.add(id(node.value))
            self.looked_at.add(id(node.value))
        elif isinstance(node, ast.Compare):
            self.looked_at.update(map(id, (node.left, *node.comparators)))
        super().visit(node)

    def _takes(self, node: ast.Call, name: str) -> None:
        """Note what is not known and gets called, with several things, by what it is handed to."""
        if name == "isinstance":
            self.looked_at.update(map(id, node.args))
        if name not in _TAKERS:
            return
        first = argument(node, 0, "target")
        if any(isinstance(item, ast.Call) and is_builtin(item.func, "type") for item in node.args) or (
            (name != "map" or len(node.args) > 2) and first is not None and not self._is_plain(first)
        ):
            self.found.undecided("It hands on what cannot be known.")

    def _is_plain(self, node: ast.expr) -> bool:
        """Return whether a function is known by its name, or written where it is handed on."""
        if isinstance(node, ast.Name):
            return node.id not in self.values.stored or node.id in self.values.defined
        return isinstance(node, ast.Lambda | ast.Attribute | ast.Constant)

    def _getattr(self, node: ast.Call) -> None:
        name = self.values.text(node.args[1]) if len(node.args) > 1 else None
        if name is None or self.module_of(node.args[0]) is not None or modules.is_telling(name):
            self.found.undecided("It looks an attribute up by a name that cannot be known.")

    def _is_called(self, node: ast.AST) -> bool:
        return id(node) in self.called


def is_builtin(node: ast.expr, name: str) -> bool:
    """Return whether an expression is a builtin's name."""
    return isinstance(node, ast.Name) and node.id == name
