"""Programs that are written as files: what they would do, once somebody runs them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from llmasos.agent.commands import analyse
from llmasos.agent.values import texts
from llmasos.decisions import Effect
from llmasos.tools import Tool

_LANGUAGES = {".py": "python", ".pyw": "python", ".sh": "bash", ".bash": "bash", ".zsh": "bash", ".ksh": "bash"}
# Programs in languages that nobody looks into here.
_OTHERS = frozenset(
    (
        *(".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".rb", ".pl", ".pm", ".php", ".lua", ".r", ".jl"),
        *(".ps1", ".psm1", ".bat", ".cmd", ".vbs", ".fish", ".awk", ".tcl", ".go", ".rs", ".java", ".c", ".cc"),
        *(".cpp", ".h", ".hpp", ".cs", ".swift", ".kt", ".scala", ".ipynb", ".mk", ".cmake", ".gradle", ".sql"),
    )
)
_NAMES = re.compile(
    r"(gnu)?makefile.*|dockerfile.*|containerfile.*|justfile|rakefile|gemfile|vagrantfile|jenkinsfile.*"
    r"|procfile|cmakelists\.txt|setup\.(py|cfg)|package\.json|pyproject\.toml|tox\.ini|noxfile\.py"
    r"|docker-compose.*\.ya?ml|compose.*\.ya?ml",
    re.IGNORECASE,
)
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
        program = analyse(language, text)
        return program.effects | ({"unknown"} if program.dynamic else set())
    if posixpath.splitext(name)[1].lower() in _OTHERS or _NAMES.fullmatch(name) or text.startswith("#!"):
        return frozenset({"unknown"})
    return frozenset()
