"""Programs that start other commands, which are their words."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from .calculation import ANY, is_number
from .shells import run_text
from .simple import Runner, matches, options
from .table import names
from .variables import is_obeyed
from .words import Word
from .wrappers import RAISES, WRAPPERS

_XARGS_VALUED = names(
    "-I -n -P -L -s -d -a -E --max-args --max-procs --max-chars --delimiter --arg-file --process-slot-var"
)
_XARGS_HARMLESS = _XARGS_VALUED | names(
    "-0 -r -t -p -x -o -i -l -e --null --no-run-if-empty --verbose --interactive --exit --open-tty"
    " --show-limits --replace --eof --max-lines --help --version"
)
_LOCK_HARMLESS = names(
    "-n -x -s -u -o -e -w -E -c -F -v -a -f -q --nb --nonblock --exclusive --shared --unlock --close"
    " --no-fork --verbose --timeout --wait --conflict-exit-code --command --append --return --flush"
    " --quiet --force --echo"
)
_ENVIRONMENT = {
    "--unset": "u",
    "--chdir": "C",
    "--argv0": "a",
    "--split-string": "S",
    **dict.fromkeys(
        names(
            "--ignore-environment --null --debug --block-signal --default-signal --ignore-signal"
            " --list-signal-handling --help --version"
        ),
        "",
    ),
}


def environment(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `env` starts, and where, and the variables that it sets."""
    rest, found, kept = list(words[1:]), runner.found, runner.found.cwds
    while rest:
        word = rest.pop(0)
        if match := re.match(r"(\w+)=", word.text):
            if is_obeyed(match[1], exported=True):
                found.unknown(f"{match[1]} may change what programs run.")
            if word.dynamic or not is_number(word.text[match.end() :]):
                found.numbers.give(match[1], {ANY})
        elif word.dynamic or word.glob:
            found.undecided("What env starts cannot be known.")
            return
        elif not word.text.startswith("-"):
            runner.under(name).run([word, *rest], stdin)
            found.cwds = kept
            return
        elif word.text not in {"-", "--"}:
            letter, value = _environment_option(word.text)
            if letter and value is None:
                value = rest.pop(0) if rest else Word("")
            if letter == "?":
                found.undecided(f"What env does by {word.text} is not known.")
            elif letter == "a":
                found.unknown("A program may be another one by the name it is called.")
            elif letter == "C" and value is not None:
                found.enter(None if value.dynamic else value.text)
            elif letter == "S" and value is not None:
                rest = _split(runner, value) + rest
    found.cwds = kept
    runner.note(name, words)
    found.effects.add("reads")


def _environment_option(text: str) -> tuple[str, Word | None]:
    """Return the letter of an option of `env` that takes a value, and the value where it is attached."""
    if text.startswith("--"):
        option, equals, value = text.partition("=")
        letter = next((short for long, short in _ENVIRONMENT.items() if matches(option, long)), "?")
        return letter, Word(value) if equals or letter == "?" else None
    if match := re.fullmatch(r"-[i0v]*(?:([uCaS])(.*))?", text, re.DOTALL):
        return match[1] or "", Word(match[2]) if match[2] else None
    return "?", Word("")


def _split(runner: Runner, value: Word) -> list[Word]:
    if value.dynamic or re.search(r"[\\$'\"]", value.text):
        runner.found.undecided("What env splits cannot be known.")
    return [Word(part) for part in value.text.split()]


def wrapper(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a program starts that takes a command as its words."""
    valued, harmless, before = WRAPPERS[name]
    if name in {"busybox", "toybox"} and len(words) > 1 and words[1].text.startswith("-"):
        runner.note(name, words)
        runner.found.unknown(f"{name} may do anything.")
        return
    parsed = options(words[1:], valued, permute=False)
    if name == "exec" and parsed.has("-a"):
        runner.found.unknown("A program may be another one by the name it is called.")
    if name in RAISES:
        runner.found.unknown(f"{name} changes what a program may do.")
    elif strange := parsed.first_but(valued | harmless):
        runner.found.undecided(f"What {name} starts by {strange} cannot be known.")
    if any(option == "?" for option, _ in parsed.options):
        runner.found.undecided(f"What {name} starts cannot be known.")
    if name in {"time", "strace", "ltrace"}:
        runner.writes(parsed.values("-o", "--output"))
    if name == "sudo":
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
        run_text(runner, name, inner)
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
        run_text(runner, name, [text])
    if strange := parsed.first_but(_LOCK_HARMLESS):
        runner.found.undecided(f"What {name} does by {strange} is not known.")
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
    if strange := parsed.first_but(_XARGS_HARMLESS):
        runner.found.undecided(f"What xargs starts by {strange} cannot be known.")
    for variable in parsed.values("--process-slot-var"):
        if variable.dynamic or is_obeyed(variable.text, exported=True):
            runner.found.unknown(f"{variable.text} may change what programs run.")
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
            before, found.effects = found.effects, set()
            runner.under(name).run(known, None)
            if found.effects & {"writes", "deletes"}:
                runner.writes(place for place in places if posixpath.normpath(place.text) != ".")
            found.effects |= before


def jobs(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `jobs -x` starts."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    if any(word.text.startswith("-x") or word.dynamic for word in words[1:]):
        runner.under(name).run(words[2:])
        runner.found.undecided("What jobs starts cannot be known.")


HANDLERS = {
    **dict.fromkeys(WRAPPERS, wrapper),
    **dict.fromkeys(("su", "runuser", "script", "flock"), text_of_option),
    "jobs": jobs,
    "env": environment,
    "xargs": xargs,
    "parallel": parallel,
    "find": find,
}
