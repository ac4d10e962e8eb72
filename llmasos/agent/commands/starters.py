"""Programs and words of bash that start other commands."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .calculation import ANY, is_number
from .simple import Runner, matches, options
from .table import RAISES, SHELLS, WRAPPERS, names
from .variables import is_obeyed
from .words import Word

_XARGS_VALUED = names(
    "-I -n -P -L -s -d -a -E --max-args --max-procs --max-lines --max-chars --delimiter --arg-file"
)


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
    if script:
        if any(word.dynamic or not is_number(word.text) for word in rest[2:]):
            runner.found.numbers.give("@", {ANY})
        _text(runner, name, rest[:1])
    elif from_stdin or not rest or rest[0].text in {"/dev/stdin", "-"}:
        if stdin is None:
            runner.found.undecided(f"What {name} reads from its standard input cannot be known.")
        else:
            runner.under(name).bash(stdin)
    else:
        _file(runner, name, rest[0])


def evaluate(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `eval` runs."""
    runner.note(name, words)
    _text(runner, name, words[1:])


def source(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a sourced file may do."""
    runner.note(name, words)
    if stdin is not None and words[1:] and words[1].text == "/dev/stdin":
        runner.under(name).bash(stdin)
    elif words[1:]:
        _file(runner, name, words[1])


def trap(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a trap runs."""
    runner.note(name, words)
    rest = [word for word in words[1:] if word.text not in {"-p", "-l", "--"}]
    if rest and rest[0].text not in {"-", ""}:
        _text(runner, name, rest[:1])


def rewrites(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note words of bash that change what later words mean."""
    runner.note(name, words)
    switches = name == "shopt" and all(word.text in _HARMLESS_SHOPT for word in words[1:])
    if len(words) == 1 or switches or (name == "hash" and words[1].text == "-r"):
        runner.found.effects.add("reads")
    else:
        runner.found.undecided(f"{name} changes what commands mean.")


_HARMLESS_SHOPT = names(
    "-s -u -q -p -o nullglob globstar dotglob nocaseglob extglob failglob pipefail errexit nounset"
    " nocasematch"
)


def environment(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `env` starts, and the variables that it sets."""
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        text = word.text
        if word.dynamic and not re.match(r"\w+=", text):
            runner.found.undecided("What env starts cannot be known.")
            return
        if text == "--":
            continue
        if matches(text.partition("=")[0], "--split-string") or re.match(r"-[i0v]*S", text):
            rest = _split(runner, text, rest)
        elif text in {"-u", "--unset"}:
            rest = rest[1:]
        elif text in {"-C", "--chdir"} or text.startswith(("-C", "--chdir=")):
            runner.found.vague("env changes to another folder.")
            rest = rest[1:] if text in {"-C", "--chdir"} else rest
        elif match := re.match(r"(\w+)=", text):
            if is_obeyed(match[1], exported=True):
                runner.found.unknown(f"{match[1]} may change what programs run.")
        elif not text.startswith("-"):
            runner.under(name).run([word, *rest], stdin)
            return
    runner.note(name, words)
    runner.found.effects.add("reads")


def _split(runner: Runner, text: str, rest: list[Word]) -> list[Word]:
    after = re.sub(r"^(-[i0v]*S|--[a-z-]*=?)", "", text)
    if not after:
        after, rest = (rest[0].text, rest[1:]) if rest else ("", rest)
    if "\\" in after or "$" in after or "'" in after or '"' in after:
        runner.found.undecided("What env splits cannot be known.")
    return [*(Word(part) for part in after.split()), *rest]


def wrapper(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a program starts that takes a command as its words."""
    valued, before = WRAPPERS[name]
    if name in {"busybox", "toybox"} and len(words) > 1 and words[1].text.startswith("-"):
        runner.note(name, words)
        runner.found.unknown(f"{name} may do anything.")
        return
    parsed = options(words[1:], valued, permute=False)
    if name in RAISES:
        runner.found.unknown(f"{name} changes what a program may do.")
    if any(option == "?" for option, _ in parsed.options):
        runner.found.undecided(f"What {name} starts cannot be known.")
    if name == "time":
        runner.writes(parsed.values("-o", "--output"))
    if name == "sudo" or name == "env":
        while parsed.operands and re.match(r"\w+=", parsed.operands[0].text):
            parsed.operands.pop(0)
    inner = parsed.operands[before:]
    if name == "command" and parsed.has("-v", "-V"):
        inner = []
    if name == "nohup":
        runner.found.write("nohup.out")
    if not inner:
        runner.note(name, words)
        runner.found.effects.add("reads")
    elif name == "watch":
        _text(runner, name, inner)
    else:
        runner.under(name).run(inner, stdin)


def text_of_option(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `su`, `script`, `flock` and the like run, which take a text after `-c`."""
    runner.note(name, words)
    parsed = options(words[1:], {"-c", "--command", "-w", "--wait", "--timeout", "-E"}, permute=False)
    texts = parsed.values("-c", "--command")
    for index, word in enumerate(words):
        if word.text in {"-c", "--command"} and index + 1 < len(words):
            texts.append(words[index + 1])
    for text in dict.fromkeys(texts):
        _text(runner, name, [text])
    if name == "flock":
        runner.writes(parsed.operands[:1])
        if len(parsed.operands) > 1 and not texts:
            runner.under(name).run(parsed.operands[1:], stdin)
    elif name == "script":
        runner.writes(parsed.operands[:1] or [Word("typescript")])
        if not texts:
            runner.found.undecided("script starts a shell.")
    else:
        runner.found.undecided(f"{name} starts a shell of somebody else.")


def xargs(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `xargs` starts, with words that cannot be known."""
    parsed = options(words[1:], _XARGS_VALUED, permute=False)
    runner.reads(parsed.values("-a", "--arg-file"))
    if any(option == "?" for option, _ in parsed.options):
        runner.found.undecided("What xargs starts cannot be known.")
    replaced = [value.text for value in parsed.values("-I", "--replace")]
    if not replaced and parsed.has("-i", "--replace"):
        replaced = ["{}"]
    inner = parsed.operands
    if not inner:
        runner.note(name, words)
        runner.found.effects.add("reads")
    elif replaced and replaced[0]:
        runner.under(name).run([_replaced(word, replaced[0]) for word in inner], stdin)
    else:
        runner.under(name).run([*inner, Word("{}", dynamic=True)], stdin)


def _replaced(word: Word, place: str) -> Word:
    if place not in word.text:
        return word
    return Word("{}" if word.text == place else word.text, dynamic=True)


def parallel(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `parallel` starts, as far as it is written there."""
    runner.note(name, words)
    inner = [word.text for word in words[1:] if not word.text.startswith(("-", ":::"))]
    runner.under(name).bash(" ".join(inner))
    runner.found.undecided("What parallel starts cannot be known.")


def find(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `find` does with what it finds."""
    runner.note(name, words)
    found, rest = runner.found, list(words[1:])
    places: list[Word] = []
    while rest and re.fullmatch(r"-[HLPD]|-O\d", rest[0].text):
        rest = rest[2:] if rest[0].text == "-D" else rest[1:]
    while rest and not rest[0].text.startswith(("-", "(", ")", "!", ",")):
        places.append(rest.pop(0))
    if any(word.dynamic and word.may_be_option for word in (*places, *rest)):
        found.undecided("What find does cannot be known.")
    places = places or [Word(".")]
    runner.reads(places)
    names = [rest[at + 1].text for at, word in enumerate(rest[:-1]) if word.text in {"-name", "-iname"}]
    suffix = (
        f"/**/{names[0]}"
        if len(names) == 1 and not any(w.text in {"-o", "-or", "!", "-not"} for w in rest)
        else ""
    )
    while rest:
        action = rest.pop(0).text
        if action == "-delete":
            runner.deletes([Word(place.text + suffix, place.dynamic) for place in places])
        elif action in {"-fprint", "-fprint0", "-fls", "-fprintf"}:
            runner.writes(rest[:1])
            rest = rest[1:]
        elif action in {"-exec", "-execdir", "-ok", "-okdir"}:
            inner: list[Word] = []
            while (
                rest
                and rest[0].text != ";"
                and not (rest[0].text == "+" and inner and inner[-1].text == "{}")
            ):
                inner.append(rest.pop(0))
            rest = rest[1:]
            # What is found begins with the place where it was looked for.
            known = [
                Word(w.text, True, operand=w.text.startswith("{}")) if "{}" in w.text else w for w in inner
            ]
            runner.under(name).run(known, None)


def _text(runner: Runner, name: str, words: Sequence[Word]) -> None:
    if not words or any(word.dynamic or word.glob for word in words):
        if any(word.dynamic or word.glob for word in words):
            runner.under(name).bash(" ".join(word.text for word in words))
        runner.found.undecided(f"What {name} runs cannot be known.")
    else:
        runner.under(name).bash(" ".join(word.text for word in words))


def _file(runner: Runner, name: str, word: Word) -> None:
    if word.dynamic or word.glob or word.text.startswith(("/dev/", "/proc/")):
        runner.found.undecided(f"Which file {name} runs cannot be known.")
    else:
        runner.found.execute(word.text)


def jobs(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `jobs -x` starts."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    if any(word.text.startswith("-x") or word.dynamic for word in words[1:]):
        runner.under(name).run(words[2:])
        runner.found.undecided("What jobs starts cannot be known.")


HANDLERS = {
    **dict.fromkeys(SHELLS, shell),
    **dict.fromkeys(WRAPPERS, wrapper),
    **dict.fromkeys(("su", "runuser", "script", "flock"), text_of_option),
    **dict.fromkeys((".", "source"), source),
    **dict.fromkeys(("alias", "hash", "enable", "bind", "complete", "shopt", "fc"), rewrites),
    "eval": evaluate,
    "trap": trap,
    "jobs": jobs,
    "env": environment,
    "xargs": xargs,
    "parallel": parallel,
    "find": find,
}
