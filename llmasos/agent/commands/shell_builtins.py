"""Words of bash that change the shell itself: where it is, and what its variables hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from .calculation import ANY, is_number, is_number_format, is_variable, names_in
from .simple import Runner, options
from .table import names
from .variables import is_obeyed
from .words import Word


def change_folder(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note where later commands run."""
    runner.note(name, words)
    found = runner.found
    found.effects.add("reads")
    to = [word for word in words[1:] if word.text not in {"-P", "-L", "-e", "-@", "--", "-n"}]
    if not to and name == "cd":
        found.enter(Word("~").text)
    elif len(to) != 1 or to[0].dynamic or to[0].glob or to[0].text[:1] in {"-", "+"}:
        found.enter(None)
    else:
        found.enter(to[0].text)


def print_formatted(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the variable that `printf` may set."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    if len(words) > 1 and (words[1].text.startswith("-v") or (words[1].dynamic and words[1].may_be_option)):
        if words[1].dynamic and len(words) == 2:
            return
        attached = words[1].text[2:]
        target, rest = (attached, words[2:]) if attached or len(words) < 3 else (words[2].text, words[3:])
        _sets(runner, [Word(target, words[1].dynamic)])
        if not rest or rest[0].dynamic or not is_number_format(rest[0].text):
            runner.found.numbers.give(target, {ANY})


def read(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the variables that `read` sets."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    parsed = options(words[1:], names("-a -d -i -n -N -p -t -u"))
    _fills(runner, [*parsed.operands, *parsed.values("-a")])


def read_lines(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the variable that `mapfile` sets, and what it calls."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    parsed = options(words[1:], names("-d -n -O -s -u -C -c"))
    for callback in parsed.values("-C"):
        runner.under(name).run([callback, Word("{}", dynamic=True)])
    _fills(runner, parsed.operands)


def read_options(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the variable that `getopts` sets."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    _fills(runner, words[2:3])


def wait(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the variable that `wait` may set."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    parsed = options(words[1:], {"-p"})
    if any(option == "?" for option, _ in parsed.options):
        runner.found.undecided("The options of wait are not known.")
    _fills(runner, parsed.values("-p"))


def declare(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the variables that a declaration sets."""
    runner.note(name, words)
    found = runner.found
    found.effects.add("reads")
    flags = "".join(word.text for word in words[1:] if re.match(r"[-+]\w", word.text))
    if "n" in flags and name not in {"export", "unset"}:
        found.undecided(f"{name} -n changes what names mean.")
    targets = [word for word in words[1:] if not re.match(r"[-+]", word.text)]
    _sets(runner, targets, exported=name == "export" or "x" in flags)
    for word in targets:
        target, _, value = word.text.partition("=")
        # What is written as a list is one; what becomes one is expanded once more.
        if not word.operand:
            listed = re.match(r"\(.*[$`]", value, re.DOTALL) is not None
            listed = listed or (word.dynamic and re.search("[aA]", flags) is not None)
            found.numbers.give(target.rstrip("+"), set() if is_number(value) else {ANY})
        elif re.search("[aA]", flags):
            listed = not value.startswith("(") and not re.fullmatch(r"[\w./:-]*", value)
        else:
            listed = re.match(r"(\$?['\"]|\\)\(.*[$`]", value, re.DOTALL) is not None
        if listed:
            found.undecided(f"What {name} makes of `{word.text}` cannot be known.")
        if "i" in flags:
            found.numbers.calculate({target.rstrip("+")})


def calculate(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `let` calculates with."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    for word in words[1:]:
        runner.found.numbers.calculate(names_in(word.text))


def test(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note a variable that `test` looks for by its name, whose subscript would be run."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    for before, word in pairwise(words):
        if before.text in {"-v", "-R"} and (word.dynamic or not is_variable(word.text)):
            runner.found.numbers.calculate({ANY})
        elif word.dynamic and not re.match('["{]', word.text):
            # It may become several words, and ask for a variable as well.
            runner.found.numbers.calculate(names_in(word.text) if re.match(r"\$\w+$", word.text) else {ANY})


def switch(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `set` changes."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    for word in words[1:]:
        if word.text in {"--", "-"} and not word.dynamic:
            break
        if not word.dynamic and not word.may_be_option:
            continue
        if word.dynamic or not re.fullmatch(r"[-+][befhmnuvxBCEHPTo]+", word.text):
            runner.found.undecided(f"What set does by `{word.text}` is not known.")
            break
    if any(word.text in {"allexport", "keyword"} for word in words):
        runner.found.undecided("set hands on all variables.")


def _fills(runner: Runner, targets: Sequence[Word]) -> None:
    """Note variables that may hold any text."""
    _sets(runner, targets)
    for target in targets:
        runner.found.numbers.give(target.text, {ANY})


def _sets(runner: Runner, targets: Sequence[Word], *, exported: bool = False) -> None:
    for target in targets:
        name = re.split(r"\+?=", target.text, maxsplit=1)[0]
        if not re.fullmatch(r"\w+", name):
            runner.found.undecided(f"What `{target.text}` sets cannot be known.")
        elif is_obeyed(name, exported=exported and "=" in target.text):
            runner.found.unknown(f"{name} may change what programs run.")


HANDLERS = {
    **dict.fromkeys(("cd", "pushd", "popd", "chdir"), change_folder),
    **dict.fromkeys(("export", "declare", "typeset", "local", "readonly", "unset", "unsetenv"), declare),
    **dict.fromkeys(("mapfile", "readarray"), read_lines),
    "read": read,
    "getopts": read_options,
    "wait": wait,
    "printf": print_formatted,
    "let": calculate,
    "test": test,
    "[": test,
    "set": switch,
}
