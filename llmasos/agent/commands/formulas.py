"""Texts that libraries evaluate: whether they only calculate."""

from __future__ import annotations

import ast
import re

from .table import names
from .values import Values

_CALLED = re.compile(r"(?<![\w.\]\)'\"])([\w.\]\)'\"]+)\s*\(")
_FUNCTIONS = names(
    "sin cos tan asin acos atan atan2 sinh cosh tanh exp log log2 log10 log1p expm1 sqrt cbrt abs floor ceil"
    " ceiling factorial gamma erf Min Max min max sum mean Abs re im sign Rational Integer C I Q bs cr poly"
    " center standardize scale np.log np.exp np.sqrt np.log1p np.power np.abs np.log10"
)
_MAKES_NAMES = names(
    "symbols Symbol Function Dummy Wild IndexedBase MatrixSymbol Idx init_printing pprint latex pretty"
)
_TEXTS = names("str repr latex pretty srepr sstr ccode pycode fcode mathematica_code octave_code format join")
_NUMBERS = names("range len int float abs sum round max min enumerate zip sorted list tuple set reversed map")
_LIBRARIES = frozenset({"sympy", "numpy", "math", "fractions", "decimal"})


def is_formula(text: str) -> bool:
    """Return whether a text that is evaluated only calculates."""
    if "__" in text or re.search(r"[;@\\`]|\blambda\b|\bimport\b|[A-Za-z_\])]\.[A-Za-z_]", _plain(text)):
        return False
    return all(
        name in _FUNCTIONS or not re.search(r"\w", name) or name in {"and", "or", "not", "in"}
        for name in _CALLED.findall(text)
    )


def _plain(text: str) -> str:
    return text.replace("np.", "np_")


def evaluates(module: str, name: str) -> bool:
    """Return whether a function of a library may evaluate the texts it is given."""
    top = module.split(".")[0]
    return (top == "sympy" and name not in _MAKES_NAMES) or (
        top in {"statsmodels", "patsy"} and ("formula" in module or name == "from_formula")
    )


class Numbers:
    """Knows which expressions are numbers and symbols, and so no texts.

    Args:
        values: What the code's expressions are.
        origins: What was imported, by the names that it has in the code.
    """

    def __init__(self, values: Values, origins: dict[str, str]) -> None:
        self._values = values
        self._origins = origins
        self._known: dict[str, bool] = {}

    def has(self, node: ast.expr) -> bool:
        """Return whether an expression is certainly no text, nor made of texts."""
        match node:
            case ast.Constant():
                return not isinstance(node.value, str | bytes)
            case ast.Name():
                return self._named(node.id)
            case ast.BinOp():
                return isinstance(node.op, ast.Sub | ast.Div | ast.Pow) or (
                    self.has(node.left) and self.has(node.right)
                )
            case ast.UnaryOp() | ast.Compare():
                return True
            case ast.List() | ast.Tuple() | ast.Set():
                return all(map(self.has, node.elts))
            case ast.Dict():
                return all(key is not None and self.has(key) for key in node.keys) and all(
                    map(self.has, node.values)
                )
            case ast.IfExp():
                return self.has(node.body) and self.has(node.orelse)
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                return self.has(node.elt)
            case ast.Subscript() | ast.Attribute() | ast.Starred():
                return self.has(node.value)
            case ast.Call():
                return self._made(node)
        return False

    def _named(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = True  # while it is looked for, as it may be said by itself
            given = self._values.given.get(name)
            self._known[name] = (
                self._origins.get(name, "").split(".")[0] in _LIBRARIES
                if given is None
                else all(value is not None and self.has(value) for value in given)
            )
        return self._known[name]

    def _made(self, node: ast.Call) -> bool:
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr in _TEXTS:
                return False
            root = function.value
            if isinstance(root, ast.Name) and root.id in self._origins:
                return self._calculates(node, self._origins[root.id])
            return self.has(root)
        if not isinstance(function, ast.Name) or function.id in _TEXTS:
            return False
        if function.id in self._origins:
            return self._calculates(node, self._origins[function.id])
        if function.id in self._values.stored:
            # A symbol may stand for a function; what is defined here may answer with text.
            return function.id not in self._values.defined and self._named(function.id)
        given = node.args
        if function.id == "map" and given and self.has(ast.Call(given[0], [], [])):
            return True
        return function.id in _NUMBERS and all(map(self.has, given))

    def _calculates(self, node: ast.Call, origin: str) -> bool:
        """Return whether a library's function answers with numbers; only symbols take texts and keep none."""
        library, _, name = origin.partition(".")
        return (
            library in _LIBRARIES
            and name not in _TEXTS
            and (library == "sympy" or all(map(self.has, node.args)))
        )
