"""Calls in Python: what functions and methods do, by their names."""

from __future__ import annotations

import ast
import re
import sys

from . import modules
from .allowed import ALLOWED, is_allowed
from .files import argument
from .formulas import Numbers, evaluates, is_formula
from .outside import Outside
from .shapes import OPENERS, is_writing_mode, shape_of
from .table import names

ARCHIVES = names("ZipFile GzipFile BZ2File LZMAFile TarFile FileIO")
_DESCRIPTORS = names("close write open fdopen dup dup2 sendfile")
_ATTRIBUTES = names("attrgetter methodcaller")
_BY_NAME = names("agg aggregate apply transform pipe map_partitions")
_RELATIONS = names("filter project aggregate order select query join sort")
_SYMBOLIC = names("subs diff integrate xreplace simplify nsimplify series limit evalf solve")
_EVALUATED = re.compile(r"__|\w\s*\(.*['\"(]")
_SETTERS = names("use rc rc_context update switch_backend set_option option_context")
_LOADERS = frozenset({"yaml.SafeLoader", "yaml.CSafeLoader", "yaml.BaseLoader", "yaml.CBaseLoader"})
_LINK = re.compile(r"[a-z][a-z0-9+]+://\S+$", re.IGNORECASE)
_OUTSIDE = re.compile(r"(~|/(etc|home|root|proc|sys|var|run|dev|mnt|media|srv|boot))/")
_STANDARD = sys.stdlib_module_names | {"yaml", "six"}
_OBJECT_FIRST = frozenset({"networkx", "pyarrow"})


class Calls(Outside):
    """Finds out what calls do, and notes it."""

    def call_of(self, node: ast.Call, module: str, name: str) -> None:
        """Note what a function of a module does."""
        top = module.split(".")[0]
        if (
            top in modules.NETWORK
            or (top == "urllib" and "request" in module)
            or name in {"urlopen", "urlretrieve"}
        ):
            self.reaches(node, name)
        elif name in modules.RUNNERS and top in {"subprocess", "os"}:
            self.commands(node, name)
        elif top in modules.RUNS:
            self.found.unknown(f"{module}.{name} may run anything.")
        elif not is_allowed(module, name) or (
            name.startswith("__") and (top in ALLOWED or name != "__init__")
        ):
            self.found.unknown(f"What {module}.{name} does is not known.")
        elif evaluates(module, name) and not self._is_calculated(node, module):
            self.found.undecided(f"What {name}() evaluates cannot be known.")
        else:
            if top not in _STANDARD:
                self.is_given(node, name, shape_of(name))
            self._known_of(node, module, name)

    def _known_of(self, node: ast.Call, module: str, name: str) -> None:
        if not (
            self._opens_of(node, module, name)
            or self._runs_of(node, module, name)
            or self._handles_of(node, module, name)
            or self.touches(node, name, None)
        ):
            self.by_shape(node, name, module)

    def _opens_of(self, node: ast.Call, module: str, name: str) -> bool:
        """Note what a function of a module opens or connects to."""
        top = module.split(".")[0]
        if name == "open":
            self.opens(node, 0, flags=top == "os")
        elif name in ARCHIVES:
            self.opens(node, 0)
        elif (top == "sqlite3" and name in {"connect", "Connection"}) or (top, name) == ("duckdb", "connect"):
            self.connects(node)
        elif name == "FileType":
            if node.args and not set(self.values.text(node.args[0]) or "w") <= set("rbt"):
                self.target(None)
        elif (top, name) == ("numpy", "memmap"):
            self.target(node.args[0] if node.args else None)
        elif top in {"xml", "lxml"} and name == "parse" and node.args:
            self.fetches(node.args[0])
        elif top == "filecmp":
            self.found.read(*self.known(node.args[:2]))
        else:
            return False
        return True

    def _runs_of(self, node: ast.Call, module: str, name: str) -> bool:
        """Note what a function of a module runs or loads."""
        top = module.split(".")[0]
        if top == "yaml" and name in {"load", "load_all"}:
            loader = argument(node, 1, "Loader")
            if loader is None or self.module_of(loader) not in _LOADERS:
                self.runs(node, name)
        elif name in {"read_sql", "read_sql_query"}:
            self.reads_database(node, name)
        elif top == "pandas" and name == "eval":
            self.asks_table(node, name)
        elif top == "numpy" and name == "load" and self._unpickles(node):
            self.found.unknown("numpy.load may run what it loads.")
        elif name in modules.CALLS or (top == "statsmodels" and name == "load"):
            self.runs(node, name)
        elif name in _ATTRIBUTES:
            text = self.values.text(node.args[0]) if node.args else None
            if text is None or "." in text or modules.is_telling(text):
                self.found.undecided("It looks an attribute up by a name that cannot be known.")
        elif top in {"matplotlib", "pandas"} and name in _SETTERS and not module.endswith("style"):
            self._sets(node)
        elif top == "duckdb" and shape_of(name) in {None, "runs"} and not name.startswith("install"):
            for item in node.args:
                if (text := self.values.text(item)) is not None:
                    self.tells_database(text)
                elif name in {"sql", "query", "execute", "executemany", "from_query"}:
                    self.asks_database(node)
        else:
            return False
        return True

    def _handles_of(self, node: ast.Call, module: str, name: str) -> bool:
        """Note what a function of a module does to files and to the process itself."""
        top = module.split(".")[0]
        if module == "os.environ":
            if name not in {"get", "items", "keys", "values", "copy"}:
                self.found.unknown("It changes the environment.")
        elif name == "unpack_archive":
            self.found.read(*self.known(node.args[:1]))
            self.target(argument(node, 1, "extract_dir") or ast.Constant("."))
        elif top == "os" and name in {"link", "symlink"}:
            # What a link leads to may be written by it from now on.
            for at, key in enumerate(("src", "dst")):
                self.target(argument(node, at, key))
        elif name == "chdir":
            # What follows a block that was in another folder is in this one again.
            self.found.enter(self.values.path(node.args[0]) if top == "os" and node.args else None)
        elif top == "os" and name in _DESCRIPTORS:
            self.found.write()
            self.found.vague(f"What os.{name} writes cannot be known.")
        elif top == "numpy" and name == "save":
            self.target(node.args[0] if node.args else None)
        elif name in modules.MOVING and top not in {"dataclasses", "copy", "numpy", "operator"}:
            self.moves(node.args)
        elif top == "shutil" and name in {"copy", "copy2", "copyfile", "copytree"}:
            self.found.read(*self.known(node.args[:1]))
            self.target(argument(node, 1, "dst"))
        else:
            return False
        return True

    def by_shape(self, node: ast.Call, name: str, module: str | None) -> None:
        """Note what a function does that nothing is known of but its name and what it is given."""
        top = (module or "").split(".")[0]
        shape = shape_of(name)
        if module is not None and top in _STANDARD:
            if name == "main":
                self.found.unknown(f"{module}.main() may do anything.")
            elif module not in ALLOWED and "." in module and shape == "network":
                self.found.unknown(f"What {name}() reaches cannot be known.")
            elif name.endswith("FileHandler"):
                self.target(argument(node, 0, "filename"))
            return
        if shape == "runs" and not (name == "compile" and top in {"re", "regex"}):
            self.found.unknown(f"{name}() may run anything.")
        elif shape == "network":
            self.found.effects.add("network")
            if not self.found.program().hosts:
                self.found.vague("Which host is reached cannot be known.")
        elif shape == "writes":
            self.saves(node, second=top in _OBJECT_FIRST and name.startswith("write_"))
        elif OPENERS.fullmatch(name) and self._is_opened_to_write(node):
            self.target(node.args[0] if node.args else None)
        if name in _BY_NAME:
            self._calls_by_name(node, name)

    def is_given(self, node: ast.Call, name: str, shape: str | None) -> None:
        """Note the links, paths and statements that a call gets, and what makes it load programs."""
        if name in modules.TEXT_WORK:
            return
        words = {word.arg: word.value for word in node.keywords}
        for item in (*node.args, *words.values()):
            place = self.values.path(item)
            if place is None or "\n" in place or not _is_text(item):
                continue
            if _LINK.match(place) or _OUTSIDE.match(place) or (shape == "reads" and item in node.args[:1]):
                self.fetches(item)
            if self.uses("duckdb") and name in _RELATIONS:
                self.tells_database(place)
            if (
                name in _SYMBOLIC or (self.uses("sympy") and _EVALUATED.search(place) and item in node.args)
            ) and not is_formula(place):
                self.found.undecided(f"What {name}() evaluates cannot be known.")
        if (
            not _is_false(words.get("allow_pickle"))
            or ("Loader" in words and self.module_of(words["Loader"]) not in _LOADERS)
            or ("backend" in words and name not in _SETTERS)
        ):
            self.found.unknown("It may run what it loads.")

    def _is_opened_to_write(self, node: ast.Call) -> bool:
        mode = argument(node, 1, "mode")
        return mode is not None and is_writing_mode(self.values.text(mode))

    def _calls_by_name(self, node: ast.Call, name: str) -> None:
        """Note functions that tables call by their names."""
        for item in ast.walk(node):
            if (
                isinstance(item, ast.Constant)
                and isinstance(item.value, str)
                and modules.is_telling(item.value)
            ):
                self.found.undecided(f"It hands {item.value} on.")
        first = node.args[0] if node.args else None
        more = [
            word for word in node.keywords if word.arg not in {"axis", "raw", "result_type", "meta", "args"}
        ]
        if (
            isinstance(first, ast.Name | ast.Call | ast.BinOp | ast.JoinedStr | ast.Subscript)
            and (more or node.args[1:])
            and not (isinstance(first, ast.Name) and self._is_function(first.id))
        ):
            self.found.undecided(f"What {name}() calls cannot be known.")

    def _is_function(self, name: str) -> bool:
        return name in self.values.defined or name not in self.values.stored

    def _is_calculated(self, node: ast.Call, module: str) -> bool:
        """Return whether a library only calculates with what it is given."""
        numbers = Numbers(self.values, self.names)

        def calculates(item: ast.expr) -> bool:
            if (text := self.values.text(item)) is not None and not isinstance(item, ast.BinOp):
                return is_formula(text)
            if isinstance(item, ast.List | ast.Tuple):
                return all(map(calculates, item.elts))
            return numbers.has(item)

        if module.startswith("sympy"):
            return all(map(calculates, [*node.args, *(word.value for word in node.keywords)]))
        formula = argument(node, 0, "formula")
        text = None if formula is None else self.values.text(formula)
        return text is not None and is_formula(text)

    def _unpickles(self, node: ast.Call) -> bool:
        return not _is_false(argument(node, 2, "allow_pickle")) or any(
            word.arg is None for word in node.keywords
        )

    def _sets(self, node: ast.Call) -> None:
        """Note settings of a library that load or run programs."""
        given = [*node.args, *(word.value for word in node.keywords)]
        given = [
            self.values.constants.get(item.id, item) if isinstance(item, ast.Name) else item for item in given
        ]
        texts = [
            *(word.arg or "backend" for word in node.keywords if word.arg not in {"backend", "force"}),
            *(str(part.value) for item in given for part in ast.walk(item) if isinstance(part, ast.Constant)),
        ]
        if any(isinstance(item, ast.Name) for item in given) or any(
            re.search(modules.SETTINGS_RUN, text) for text in texts
        ):
            self.found.unknown("It sets which programs a library runs.")


def _is_false(node: ast.expr | None) -> bool:
    return node is None or (isinstance(node, ast.Constant) and not node.value)


def _is_text(node: ast.expr) -> bool:
    return not isinstance(node, ast.Constant) or isinstance(node.value, str | bytes)
