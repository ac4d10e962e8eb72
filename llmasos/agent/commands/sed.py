"""Sed: what its scripts write and run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .simple import BACKUP, Runner, options
from .table import names
from .words import Word

_VALUED = names("-e -f -l --expression --file --line-length")
_HARMLESS = names(
    "-n -E -r -s -z -u -b -i -e -l --quiet --silent --regexp-extended --separate --null-data --unbuffered"
    " --binary --in-place --expression --line-length --debug --sandbox --follow-symlinks --help --version"
)
_ADDRESS = re.compile(r"\s*(?:(?:\d+|\$|\+\d+|~\d+|/(?:\\.|[^/\\\n])*/[IM]*)(?:~\d+)?\s*,?\s*)*!?\s*")
_LABEL = re.compile(r"[ \t]*[\w.-]*[ \t]*(?=[;\n}]|$)")
_ADDED = re.compile(r"(?:\\.|[^\\\n])+(?=\n|$)", re.DOTALL)


def sed(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `sed` does: its files, and what its script writes or runs."""
    runner.note(name, words)
    parsed = options(_without_suffix(words[1:]), _VALUED)
    scripts = parsed.values("-e", "--expression")
    operands = parsed.operands
    if not scripts and not parsed.has("-f", "--file"):
        scripts, operands = operands[:1], operands[1:]
    if strange := parsed.first_but(_HARMLESS):
        runner.found.undecided(f"What sed runs by {strange} cannot be known.")
    for script in scripts:
        if script.dynamic:
            # A value may end the pattern and begin a command of sed.
            runner.found.undecided(f"What sed does by `{script.text}` cannot be known.")
        elif not _script(runner, script.text):
            runner.found.undecided(f"What sed does by `{script.text}` is not known.")
    if parsed.has("-i", "--in-place"):
        runner.found.effects.add("writes")
        runner.writes(operands)
        _backups(runner, words, operands)
    runner.reads(operands)


def _without_suffix(words: Sequence[Word]) -> list[Word]:
    """Return the words without what stands after `-i`, which is no more options."""
    return [
        Word(match[0], word.dynamic) if (match := re.match(r"-[nErszub]*i", word.text)) else word
        for word in words
    ]


def _backups(runner: Runner, words: Sequence[Word], files: Sequence[Word]) -> None:
    """Note copies whose names are chosen, so that they may be those of any file."""
    for word in words[1:]:
        match = re.match(r"(?:-[nErszub]*i|--in-[a-z-]*=)(.*)", word.text, re.DOTALL)
        if match and not BACKUP.fullmatch(match[1]):
            for file in files:
                folder, _, base = file.text.rpartition("/")
                kept = match[1].replace("*", base) if "*" in match[1] else base + match[1]
                runner.writes([Word(kept if "/" in kept or not folder else f"{folder}/{kept}", file.dynamic)])


def _script(runner: Runner, script: str) -> bool:
    """Note what a script of sed writes or runs, and return whether all of it was understood."""
    at = 0
    while at < len(script):
        if script[at] in " \t\n;{}":
            at += 1
            continue
        match = _ADDRESS.match(script, at)
        at = match.end() if match else at
        if at >= len(script):
            return False
        letter, at = script[at], at + 1
        line_end = script.find("\n", at)
        line_end = len(script) if line_end < 0 else line_end
        if letter in "{}=dDgGhHlnNpPqQxzF":
            while letter in "lqQ" and at < len(script) and script[at].isdigit():
                at += 1
        elif letter in "sy":
            at = _substitution(runner, script, at, letter)
        elif letter in "wW":
            runner.writes([Word(script[at:line_end].strip())])
            at = line_end
        elif letter in "rR":
            runner.reads([Word(script[at:line_end].strip())])
            at = line_end
        elif letter in "aic":
            at = _end(_ADDED, script, at)
        elif letter in ":btTv":
            at = _end(_LABEL, script, at)
        elif letter == "#":
            at = line_end
        elif letter == "e":
            text = script[at:line_end].strip()
            if text:
                runner.under("sed").bash(text)
            runner.found.undecided("sed runs what it reads.")
            at = line_end
        else:
            return False
        if at < 0:
            return False
    return True


def _end(pattern: re.Pattern[str], script: str, at: int) -> int:
    match = pattern.match(script, at)
    if not match or re.match(r"[ \t]*\\[ \t]+\n", match[0]):
        return -1
    return match.end()


def _substitution(runner: Runner, script: str, at: int, letter: str) -> int:
    if at >= len(script) or script[at] in "\\\n":
        return -1
    mark, parts = script[at], 0
    at += 1
    while at < len(script) and parts < 2:
        char = script[at]
        if char == "\\":
            at += 1
        elif char == mark:
            parts += 1
        at += 1
    if parts < 2:
        return -1
    while letter == "s" and at < len(script) and script[at] not in ";\n}":
        flag = script[at]
        if flag == "e":
            runner.found.undecided("sed runs what it has replaced.")
        elif flag in "w":
            end = script.find("\n", at)
            end = len(script) if end < 0 else end
            runner.writes([Word(script[at + 1 : end].strip())])
            return end
        elif flag not in "gpiImM0123456789 \t":
            return -1
        at += 1
    return at


HANDLERS = {"sed": sed, "gsed": sed}
