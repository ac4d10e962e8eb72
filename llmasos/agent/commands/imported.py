"""Imports in Python: which modules and names a piece of code gets, and by what names."""

from __future__ import annotations

import ast

from . import modules
from .allowed import ALLOWED, is_allowed
from .calls import Calls
from .program import Command


class Imported(Calls, ast.NodeVisitor):
    """Visits what is imported, and notes it."""

    def visit_Import(self, node: ast.Import) -> None:
        """Note the modules that are imported."""
        for alias in node.names:
            self._import(alias.name)
            name = alias.asname or alias.name.split(".")[0]
            module = alias.name if alias.asname else name
            if (
                alias.asname
                and alias.name in (modules.TELLING | ALLOWED.keys()) - {"os.path"}
                and alias.asname != alias.name
            ):
                self.found.vague(f"It calls {alias.name} by another name.")
            if modules.CONVENTIONS.get(name, module) != module:
                self.found.undecided(f"It calls {module} by the name of another module.")
            self.names[name] = module

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note the module that names are imported from, and those names that do more than calculate."""
        module = node.module or ""
        if node.level:
            self.found.unknown("It imports a module of the folder.")
            return
        for alias in node.names:
            self._import(f"{module}.{alias.name}" if module in {"urllib", "concurrent"} else module)
            origin = f"{module}.{alias.name}"
            name = alias.asname or alias.name
            self.names[name] = origin
            if modules.CONVENTIONS.get(name, origin) != origin:
                self.found.undecided(f"It calls {origin} by the name of a module.")
            if alias.name in modules.SECRET:
                self.found.undecided(f"It imports {alias.name} of {module}.")
            elif alias.name == "*" or alias.name in modules.CALLS or not self._is_known(module, alias.name):
                self.found.unknown(f"It imports {alias.name} of {module}.")
            elif module in {"os", "shutil"} and alias.name in modules.DELETING | modules.MOVING:
                self.found.effects.add("deletes")
            elif module in {"os", "shutil"} and alias.name in modules.WRITING:
                self.found.effects.add("writes")

    def _is_known(self, module: str, name: str) -> bool:
        top = module.split(".")[0]
        return top in modules.NETWORK | modules.RUNS or is_allowed(module, name)

    def _import(self, module: str) -> None:
        top, *parts = module.split(".")
        self.found.commands.append(Command(top, ("import", module)))
        if top in modules.NETWORK or module.startswith("urllib.request"):
            self.found.effects.add("network")
        elif top in modules.RUNS:
            if top != "subprocess":
                self.found.unknown(f"{top} may run anything.")
        elif top not in modules.HARMLESS:
            self.found.unknown(f"What importing {top} does is not known.")
        elif not all(is_allowed(".".join([top, *parts[:at]]), part) for at, part in enumerate(parts)):
            self.found.unknown(f"What {module} does is not known.")
