"""Programs that run code: Python, interpreters of other languages, and builders."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .simple import Runner, options
from .table import BUILDERS, names
from .words import Word

_INTERPRETERS = frozenset(
    {"perl", "ruby", "node", "nodejs", "php", "lua", "Rscript", "julia", "bun", "deno", "osascript"}
)

# Others obey files of the folder, or do their work, also when they are asked who they are.
_ANSWERS = _INTERPRETERS | names(
    "gcc g++ cc c++ clang clang++ javac java ghc make gmake cmake ninja meson ruff black mypy isort flake8"
    " pylint tsc eslint prettier jest mocha coverage sphinx-build mkdocs poetry pipenv hatch pdm uvx npx"
    " pdflatex xelatex docker-compose"
)
_ANSWERS_SHORT = names("node nodejs perl ruby php lua bun gcc g++ cc c++ clang clang++ make gmake tsc npx")


def python(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what Python runs: code, a module, or a file."""
    runner.note(name, words)
    rest = list(words[1:])
    while rest and rest[0].may_be_option:
        word = rest.pop(0)
        text = word.text
        if not text.startswith("-") or (word.dynamic and not text.startswith(("-c", "-m"))):
            break
        if text in {"--version", "-V", "-VV", "-h", "--help"}:
            runner.found.effects.add("reads")
            return
        if text.startswith("--"):
            continue
        letters = re.match(r"-[bBdEhiIOPqsSuvVx]*([cmWX]?)(.*)", text, re.DOTALL)
        kind, value = (letters[1], letters[2]) if letters else ("", "")
        if kind in {"W", "X"}:
            rest = rest if value else rest[1:]
        elif kind:
            given = Word(value, word.dynamic) if value else (rest.pop(0) if rest else Word("", dynamic=True))
            _python_text(runner, name, kind, given, rest)
            return
    else:
        if rest and rest[0].text != "-":
            _python_file(runner, name, rest[0])
        elif stdin is not None:
            runner.python(stdin)
        else:
            runner.found.undecided(f"What {name} reads from its standard input cannot be known.")
        return
    runner.found.undecided(f"What {name} runs cannot be known.")


def _python_file(runner: Runner, name: str, word: Word) -> None:
    if word.dynamic or word.glob or word.text.startswith(("/dev/", "/proc/")):
        runner.found.undecided(f"Which file {name} runs cannot be known.")
    else:
        runner.found.execute(word.text)


def _python_text(runner: Runner, name: str, kind: str, word: Word, rest: list[Word]) -> None:
    if word.dynamic:
        runner.found.undecided(f"What {name} runs cannot be known.")
    elif kind == "c":
        runner.python(word.text)
    elif word.text == "json.tool":
        parsed = options(rest, {"--indent"})
        runner.reads(parsed.operands[:1])
        runner.writes(parsed.operands[1:])
    elif word.text == "pip":
        runner.under(name).run([Word("pip"), *rest])
    elif word.text == "venv":
        runner.found.effects.add("writes")
        parsed = options(rest, {"--prompt"})
        runner.found.tidying = not parsed.has("--clear")
        runner.writes(parsed.operands)
        runner.found.tidying = False
    else:
        runner.found.execute()


def interpreter(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what runs whose language is not analysed, and what obeys the folder's files."""
    runner.note(name, words)
    found = runner.found
    if len(words) == 2 and (
        (name in _ANSWERS and words[1].text in {"--version", "--help"})
        or (name in _ANSWERS_SHORT and words[1].text == "-v")
    ):
        found.effects.add("reads")
        return
    found.execute()
    if name == "npx" or any(word.text.startswith("SHELL=") for word in words):
        found.unknown(f"{name} may run anything.")
    if name in _INTERPRETERS:
        parsed = options(words[1:])
        text = any(
            re.match(r"-\w*[eErRpnc]|--eval|--print|--run|--expression", word.text) for word in words[1:]
        )
        if text:
            found.unknown(f"What {name} does by its text is not analysed.")
        elif (
            not parsed.operands
            or parsed.operands[0].text == "-"
            or parsed.operands[0].text.startswith("/dev/")
        ):
            found.undecided(f"What {name} reads from its standard input cannot be known.")
        elif parsed.operands[0].dynamic:
            found.undecided(f"Which file {name} runs cannot be known.")
        else:
            found.execute(parsed.operands[0].text)
    if any(word.dynamic and word.may_be_option for word in words[1:]):
        found.undecided(f"The options of {name} are not known.")


HANDLERS = {
    **dict.fromkeys(
        ("python", "python2", "python3", "pypy", "pypy3", *(f"python3.{minor}" for minor in range(8, 16))),
        python,
    ),
    **dict.fromkeys((*BUILDERS, *_INTERPRETERS), interpreter),
}
