"""Programs that are written as files: what they would do, once somebody runs them."""

from __future__ import annotations

import ast
import posixpath
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmasos.agent.commands import analyse, knows
from llmasos.agent.commands.modules import BUILTINS_RUN, HARMLESS, NETWORK, RUNS, TELLING_NAMES
from llmasos.agent.commands.python import LONGEST
from llmasos.agent.commands.table import names
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
_OTHERS = names(
    ".js .mjs .cjs .ts .tsx .jsx .rb .pl .pm .php .lua .r .jl .ps1 .psm1 .bat .cmd .vbs .fish .awk .tcl .go"
    " .rs .java .c .cc .cpp .h .hpp .cs .swift .kt .scala .ipynb .mk .cmake .gradle .sql"
)
_NAMES = re.compile(
    r"(gnu)?makefile.*|dockerfile.*|containerfile.*|justfile|rakefile|gemfile|vagrantfile|jenkinsfile.*"
    r"|procfile|cmakelists\.txt|setup\.(py|cfg)|package\.json|pyproject\.toml|tox\.ini|noxfile\.py"
    r"|docker-compose.*\.ya?ml|compose.*\.ya?ml",
    re.IGNORECASE,
)
_PROSE = names(".md .markdown .txt .rst .adoc .org .tex .csv .tsv .log .html .htm .eml")
_PAPERS = names("readme license licence changelog authors contributing notes todo copying news")
# What commands have and sentences seldom do, and what lists of commands put before them.
_SIGNS = re.compile(r"[|;<>$`~=]|&&|\s-{1,2}\w|\w/\w|(?:^|\s)/\w|://")
_MARKER = re.compile(r"^\s*(?:[-*+]\s+|\d+[.)]\s+|\$\s+|@|[\w.-]+:\s+)*")
_KNOWN = HARMLESS | NETWORK | RUNS
_WORD = re.compile(r"\w+")
_HARMFUL = (RUNS | NETWORK | TELLING_NAMES | BUILTINS_RUN) | names(
    "child_process exec execFile execSync spawn spawnSync fork fetch XMLHttpRequest axios curl wget bash sh"
    " zsh cmd powershell Invoke Function system shell_exec passthru proc_open Process ProcessBuilder Runtime"
    " Command dlopen LoadLibrary https net dns tls nc ncat netcat preinstall install postinstall prepare"
    " prebuild postbuild pretest posttest RUN ADD ENTRYPOINT fs writeFile writeFileSync readFileSync rm File"
    " IO Net Socket TcpStream env process getenv"
)
"""Words by which programs, in whatever language, do more than calculate."""
_FIRST_LINE = re.compile(r"#!.*?\b(python[0-9.]*|bash|sh|zsh|dash|ksh)\b")


@dataclass(frozen=True)
class Written:
    """What a call writes, when it is a program.

    Args:
        does: What the new text would do.
        gains: What it would do, and the passage that it replaces did not.
        before: The passage that it replaces.
        prose: Whether it is for people alone, as far as its name tells.
    """

    does: frozenset[Effect] = frozenset()
    gains: frozenset[Effect] = frozenset()
    before: str = ""
    prose: bool = True


def written(tool: Tool, arguments: Mapping[str, Any]) -> Written:
    """Return what a program that a call writes would do, once somebody runs it.

    Args:
        tool: The tool; those that run code by themselves are looked at elsewhere.
        arguments: Its arguments: the paths it writes, what is written, and the passage that it replaces.
    """
    needs = tool.capabilities
    paths = [path for name in needs.targets for path in texts(arguments.get(name))]
    passages = [
        value
        for name, value in arguments.items()
        if isinstance(value, str) and value and name not in {*needs.targets, *needs.reaches}
    ]
    if needs.runs or not needs.writes or not paths or not passages:
        return Written()
    *replaced, new = passages
    before = "\n".join(replaced)
    does = frozenset(effect for path in paths for effect in _does(path, new))
    did = frozenset(effect for path in paths for text in replaced for effect in _does(path, text))
    gains = does - did
    opaque = all(_is_opaque(path, new) for path in paths)
    if "unknown" in does and (opaque or "unknown" in did):
        gains = gains | {"unknown"} if _tells_more(new, before) else gains - {"unknown"}
    return Written(does, gains, before, all(map(_is_prose, paths)))


def is_command(text: str) -> bool:
    """Whether a text has a line that does more than read when a shell gets it, and is no mere sentence."""
    return any(_SIGNS.search(line) and _acts(_MARKER.sub("", line)) for line in text.splitlines())


def _acts(line: str) -> bool:
    program = analyse("bash", line)
    known = [knows(command.name) for command in program.commands]
    # In a sentence, words that name no program stand where commands have theirs.
    return any(known) and bool(program.effects - ({"reads"} if all(known) else {"reads", "unknown"}))


def _tells_more(new: str, before: str) -> bool:
    """Whether a text has words of doing harm that the passage before it has not.

    What a piece of a program does cannot be told where it is no program by itself.
    """
    more = set(_WORD.findall(new)) - set(_WORD.findall(before))
    return not more.isdisjoint(_HARMFUL)


def _is_prose(path: str) -> bool:
    stem, ending = posixpath.splitext(posixpath.basename(path).lower())
    return ending in _PROSE or (not ending and stem in _PAPERS)


def _is_opaque(path: str, text: str) -> bool:
    """Whether a program is in a language that nobody looks into."""
    return not _language(path, text) and not text.startswith("#!")


def _language(path: str, text: str) -> str:
    language = _LANGUAGES.get(posixpath.splitext(path)[1].lower(), "")
    if not language and (found := _FIRST_LINE.match(text)):
        language = "python" if found[1].startswith("python") else "bash"
    return language


def _does(path: str, text: str) -> frozenset[Effect]:
    name = posixpath.basename(path)
    if language := _language(name, text):
        program = analyse(language, _without_others(text) if language == "python" else text)
        return program.effects | ({"unknown"} if program.dynamic else set())
    if posixpath.splitext(name)[1].lower() in _OTHERS or _NAMES.fullmatch(name) or text.startswith("#!"):
        return frozenset({"unknown"})
    return frozenset()


def _without_others(code: str) -> str:
    """Return code with empty names in place of what it imports from modules that are not known to do harm.

    That a program has parts is no gain; what they do is told when they are written, or run.
    """
    if len(code) > LONGEST:
        return code
    try:
        return ast.unparse(_Others().visit(ast.parse(textwrap.dedent(code))))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # CPython's parser runs out of its own stack on prose, which it calls memory.
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
