"""Shells, and the words of bash that run text or change what words mean."""

from __future__ import annotations

from collections.abc import Sequence

from .calculation import ANY, is_number
from .simple import Runner
from .table import SHELLS, names
from .words import Word


def shell(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a shell runs."""
    rest, script, from_stdin = list(words[1:]), False, False
    runner.note(name, words)
    if name in {"fish", "zsh", "ksh", "mksh"}:
        runner.found.undecided(f"{name} understands more than bash.")
    while rest and ((rest[0].text[:1] in "-+" and rest[0].text) or rest[0].dynamic):
        word = rest.pop(0)
        if word.dynamic or word.glob:
            runner.found.undecided(f"What {name} runs cannot be known.")
            return
        if word.text in {"--", "-"}:
            break
        if word.text in {"--rcfile", "--init-file"} or word.text.startswith(("--rcfile", "--init")):
            runner.found.unknown(f"{name} {word.text} runs a file.")
            rest = rest[1:]
        elif not word.text.startswith("--"):
            script = script or "c" in word.text[1:]
            from_stdin = from_stdin or "s" in word.text[1:]
            if word.text[-1] in "oO" and rest:
                rest.pop(0)
    if any(word.dynamic or not is_number(word.text) for word in (rest[2:] if script else rest)):
        runner.found.numbers.give("@", {ANY})
    if script:
        run_text(runner, name, rest[:1])
    elif from_stdin or not rest or rest[0].text in {"/dev/stdin", "-"}:
        if stdin is None:
            runner.found.undecided(f"What {name} reads from its standard input cannot be known.")
        else:
            runner.under(name).bash(stdin)
    else:
        _run_file(runner, name, rest[0])


def evaluate(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `eval` runs."""
    runner.note(name, words)
    run_text(runner, name, words[1:])


def source(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a sourced file may do."""
    runner.note(name, words)
    if stdin is not None and words[1:] and words[1].text == "/dev/stdin":
        runner.under(name).bash(stdin)
    elif words[1:]:
        _run_file(runner, name, words[1])


def trap(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a trap runs."""
    runner.note(name, words)
    rest = [word for word in words[1:] if word.text not in {"-p", "-l", "--"}]
    if rest and rest[0].text not in {"-", ""}:
        run_text(runner, name, rest[:1])


def rewrites(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note words of bash that change what later words mean."""
    runner.note(name, words)
    switches = name == "shopt" and all(word.text in _HARMLESS_SHOPT for word in words[1:])
    if (len(words) == 1 and name != "fc") or switches or (name == "hash" and words[1].text == "-r"):
        runner.found.effects.add("reads")
    else:
        runner.found.undecided(f"{name} changes what commands mean.")


_HARMLESS_SHOPT = names(
    "-s -u -q -p -o nullglob globstar dotglob nocaseglob extglob failglob pipefail errexit nounset"
    " nocasematch"
)


def run_text(runner: Runner, name: str, words: Sequence[Word]) -> None:
    """Note what a text of bash does, which is made of words."""
    if not words or any(word.dynamic or word.glob for word in words):
        if any(word.dynamic or word.glob for word in words):
            runner.under(name).bash(" ".join(word.text for word in words))
        runner.found.undecided(f"What {name} runs cannot be known.")
    else:
        runner.under(name).bash(" ".join(word.text for word in words))


def _run_file(runner: Runner, name: str, word: Word) -> None:
    if word.dynamic or word.glob or word.text.startswith(("/dev/", "/proc/")):
        runner.found.undecided(f"Which file {name} runs cannot be known.")
    else:
        runner.found.execute(word.text)


HANDLERS = {
    **dict.fromkeys(SHELLS, shell),
    **dict.fromkeys((".", "source"), source),
    **dict.fromkeys(("alias", "hash", "enable", "bind", "complete", "shopt", "fc"), rewrites),
    "eval": evaluate,
    "trap": trap,
}
