"""Words of bash that change the shell itself: where it is, and what its variables hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
        target = words[1].text[2:] or (words[2].text if len(words) > 2 else "")
        if words[1].dynamic and len(words) == 2:
            return
        _sets(runner, [Word(target, words[1].dynamic)])


def read(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the variables that `read` and its like set, and what they call."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    parsed = options(
        words[1:],
        names("-a -d -i -n -N -p -t -u -c -C -O -s") if name != "read" else names("-a -d -i -n -N -p -t -u"),
    )
    if name in {"mapfile", "readarray"}:
        for callback in parsed.values("-C"):
            runner.under(name).run([callback, Word("{}", dynamic=True)])
    _sets(runner, [*parsed.operands, *parsed.values("-a")])


def declare(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the variables that a declaration sets."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    exported = name == "export" or any(re.match(r"-\w*x", word.text) for word in words[1:])
    if any(re.match(r"-\w*n", word.text) for word in words[1:]) and name not in {"export", "unset"}:
        runner.found.undecided(f"{name} -n changes what names mean.")
    _sets(runner, [word for word in words[1:] if not word.text.startswith("-")], exported=exported)


def _sets(runner: Runner, targets: Sequence[Word], *, exported: bool = False) -> None:
    for target in targets:
        name = re.split(r"\+?=", target.text, maxsplit=1)[0]
        if not re.fullmatch(r"\w+", name):
            runner.found.undecided(f"What `{target.text}` sets cannot be known.")
        elif is_obeyed(name, exported=exported and "=" in target.text):
            runner.found.unknown(f"{name} may change what programs run.")


HANDLERS = {
    **dict.fromkeys(("cd", "pushd", "popd", "chdir"), change_folder),
    **dict.fromkeys(("read", "mapfile", "readarray", "getopts"), read),
    **dict.fromkeys(("export", "declare", "typeset", "local", "readonly", "unset", "unsetenv"), declare),
    "printf": print_formatted,
}
