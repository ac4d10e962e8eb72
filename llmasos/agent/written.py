"""Programs that are written as files: what they would do, once somebody runs them."""

from __future__ import annotations

import ast
import posixpath
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from llmasos.agent.commands import analyse
from llmasos.agent.commands.modules import HARMLESS, NETWORK, RUNS
from llmasos.agent.values import texts
from llmasos.decisions import Effect
from llmasos.tools import Tool

_LANGUAGES = {
    ".py": "python",
    ".pyw": "python",
    ".sh": "bash",
    ".bash": "bash",
    ".zsh": "bash",
    ".ksh": "bash",
}
# Programs in languages that nobody looks into here.
_OTHERS = frozenset(
    (
        *(".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".rb", ".pl", ".pm", ".php", ".lua", ".r", ".jl"),
        *(
            ".ps1",
            ".psm1",
            ".bat",
            ".cmd",
            ".vbs",
            ".fish",
            ".awk",
            ".tcl",
            ".go",
            ".rs",
            ".java",
            ".c",
            ".cc",
        ),
        *(
            ".cpp",
            ".h",
            ".hpp",
            ".cs",
            ".swift",
            ".kt",
            ".scala",
            ".ipynb",
            ".mk",
            ".cmake",
            ".gradle",
            ".sql",
        ),
    )
)
_NAMES = re.compile(
    r"(gnu)?makefile.*|dockerfile.*|containerfile.*|justfile|rakefile|gemfile|vagrantfile|jenkinsfile.*"
    r"|procfile|cmakelists\.txt|setup\.(py|cfg)|package\.json|pyproject\.toml|tox\.ini|noxfile\.py"
    r"|docker-compose.*\.ya?ml|compose.*\.ya?ml",
    re.IGNORECASE,
)
_KNOWN = HARMLESS | NETWORK | RUNS
_FIRST_LINE = re.compile(r"#!.*?\b(python[0-9.]*|bash|sh|zsh|dash|ksh)\b")


def gains(tool: Tool, arguments: Mapping[str, Any]) -> frozenset[Effect]:
    """Return what a program that a call writes would do then, and did not do before.

    Args:
        tool: The tool; those that run code by themselves are looked at elsewhere.
        arguments: Its arguments: the paths it writes, what is written, and the passage that it replaces.
    """
    needs = tool.capabilities
    paths = [path for name in needs.targets for path in texts(arguments.get(name))]
    if needs.runs or not needs.writes or not paths:
        return frozenset()
    passages = {
        name: value
        for name, value in arguments.items()
        if isinstance(value, str) and value and name not in {*needs.targets, *needs.reaches}
    }
    new = list(passages.values())[-1:]
    old = list(passages.values())[:-1]
    return frozenset(
        effect for path in paths for text in new for effect in _does(path, text) - _did(path, old)
    )


def _did(path: str, passages: list[str]) -> frozenset[Effect]:
    return frozenset(effect for text in passages for effect in _does(path, text))


def _does(path: str, text: str) -> frozenset[Effect]:
    name = posixpath.basename(path)
    language = _LANGUAGES.get(posixpath.splitext(name)[1].lower(), "")
    if not language and (found := _FIRST_LINE.match(text)):
        language = "python" if found[1].startswith("python") else "bash"
    if language:
        program = analyse(language, _without_others(text) if language == "python" else text)
        return program.effects | ({"unknown"} if program.dynamic else set())
    if posixpath.splitext(name)[1].lower() in _OTHERS or _NAMES.fullmatch(name) or text.startswith("#!"):
        return frozenset({"unknown"})
    return frozenset()


def _without_others(code: str) -> str:
    """Return code with empty names in place of what it imports from modules that are not known to do harm.

    That a program has parts is no gain; what they do is told when they are written, or run.
    """
    try:
        return ast.unparse(_Others().visit(ast.parse(textwrap.dedent(code))))
    except (SyntaxError, ValueError, RecursionError):
        return code


class _Others(ast.NodeTransformer):
    """Puts empty names in place of imports from modules that are not known."""

    def visit_Import(self, node: ast.Import) -> ast.AST | list[ast.stmt]:
        """Replace an import, unless one of its modules is known."""
        if any(alias.name.split(".")[0] in _KNOWN for alias in node.names):
            return node
        return [_nothing(alias.asname or alias.name.split(".")[0]) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.stmt]:
        """Replace names from a module that is not known."""
        if not node.level and (node.module or "").split(".")[0] in _KNOWN:
            return node
        return [_nothing(alias.asname or alias.name) for alias in node.names if alias.name != "*"]


def _nothing(name: str) -> ast.stmt:
    return ast.parse(f"def {name}(*args, **options): return None").body[0]
