"""Programs that take a script of their own language: sed, awk, Python, SQL, and others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .simple import Runner, options
from .table import BUILDERS, names
from .words import Word

_AWK_TOKEN = re.compile(
    r'(?P<string>"(?:\\.|[^"\\])*")|(?P<comment>#[^\n]*)|(?P<lead>(?:^|[(,~!&|{;\n])\s*)(?P<regex>/(?:\\.|\[[^\]\n]*\]|[^/\\\n])+/)',
    re.DOTALL,
)
_SED_ADDRESS = re.compile(
    r"\s*(?:(?:\d+|\$|\+\d+|~\d+|/(?:\\.|\[[^\]]*\]|[^/\\\n])*/[IM]*)(?:~\d+)?\s*,?\s*)*!?\s*"
)
_SELECTS = re.compile(
    r"(select|with|explain|values|\.(tables|schema|headers?|mode|databases|indexes|dump|width)\b)",
    re.IGNORECASE,
)
_SQL_RISKS = re.compile(
    r"\b(insert|update|delete|replace|drop|create|alter|writefile|load_extension|edit|readfile|fts3_tokenizer|into|attach)\b",
    re.IGNORECASE,
)
_INTERPRETERS = frozenset(
    {"perl", "ruby", "node", "nodejs", "php", "lua", "Rscript", "julia", "bun", "deno", "osascript"}
)


def sed(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `sed` does: its files, and what its script writes or runs."""
    runner.note(name, words)
    parsed = options(words[1:], {"-e", "-f", "-l", "--expression", "--file", "--line-length"})
    in_place = any(re.fullmatch(r"-i|--i[a-z-]*", option) for option, _ in parsed.options)
    scripts = parsed.values("-e", "--expression")
    files = parsed.values("-f", "--file")
    operands = parsed.operands
    if not scripts and not files:
        scripts, operands = operands[:1], operands[1:]
    if files or any(option == "?" for option, _ in parsed.options):
        runner.found.undecided("What sed runs cannot be known.")
    for script in scripts:
        if script.dynamic:
            # A value may end the pattern and begin a command of sed.
            runner.found.undecided(f"What sed does by `{script.text}` cannot be known.")
        elif not _sed_script(runner, script.text):
            runner.found.undecided(f"What sed does by `{script.text}` is not known.")
    if in_place:
        runner.found.effects.add("writes")
        runner.writes(operands)
    runner.reads(operands)


def _sed_script(runner: Runner, script: str) -> bool:
    """Note what a script of sed writes or runs, and return whether all of it was understood."""
    at = 0
    while at < len(script):
        if script[at] in " \t\n;{}":
            at += 1
            continue
        match = _SED_ADDRESS.match(script, at)
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
            end = _sed_substitution(runner, script, at, letter)
            if end < 0:
                return False
            at = end
        elif letter in "wW":
            runner.writes([Word(script[at:line_end].strip())])
            at = line_end
        elif letter in "rR":
            runner.reads([Word(script[at:line_end].strip())])
            at = line_end
        elif letter in "aic:btT#vL":
            if letter in "aic" and "\\" in script[at:]:
                # Text that goes on over lines.
                return False
            at = line_end if letter in "aic:#v" else _sed_label(script, at)
        elif letter == "e":
            text = script[at:line_end].strip()
            if text:
                runner.under("sed").bash(text)
            runner.found.undecided("sed runs what it reads.")
            at = line_end
        else:
            return False
    return True


def _sed_label(script: str, at: int) -> int:
    while at < len(script) and script[at] not in ";\n}":
        at += 1
    return at


def _sed_substitution(runner: Runner, script: str, at: int, letter: str) -> int:
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


def awk(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `awk` does: its files, and what its program writes or runs."""
    runner.note(name, words)
    parsed = options(
        words[1:],
        names("-F -v -f -e -i -l -E --field-separator --assign --file --source --include --load"),
        permute=False,
    )
    sources = parsed.values("-e", "--source")
    operands = parsed.operands
    if parsed.has("-f", "-i", "-l", "-E", "--file", "--include", "--load", "--exec", "?"):
        runner.found.undecided(f"{name} runs a file.")
    elif not sources:
        sources, operands = operands[:1], operands[1:]
    if parsed.has("-o", "-d", "-p", "-D", "--dump-variables", "--profile", "--pretty-print", "--debug"):
        runner.found.undecided(f"{name} writes or asks.")
    for program in sources:
        if program.dynamic:
            runner.found.undecided(f"What {name} does by `{program.text}` cannot be known.")
        else:
            _awk_program(runner, name, program.text)
    runner.reads(word for word in operands if "=" not in word.text)


def _awk_program(runner: Runner, name: str, text: str) -> None:
    strings: list[str] = []

    def blank(match: re.Match[str]) -> str:
        if match["string"]:
            strings.append(match["string"][1:-1])
            return f"\x01{len(strings) - 1}\x02"
        return "" if match["comment"] else match["lead"] + "\x03"

    # Twice, because what leads one regular expression may be the end of another.
    bare = _AWK_TOKEN.sub(blank, _AWK_TOKEN.sub(blank, text))
    runs = re.search(r"\bsystem\b|(?<!\|)\|(?!\|)|\|&|@", bare)
    if runs:
        for string in strings:
            runner.under(name).bash(re.sub(r"\\(.)", r"\1", string))
        runner.found.undecided(f"{name} runs commands or opens files by its program.")
    for index in re.findall(r"\bgetline\b[^;\n<]*<\s*\x01(\d+)\x02", bare):
        runner.reads([Word(strings[int(index)])])
    if any(string.startswith("/inet") for string in strings):
        runner.found.reach()
        runner.found.undecided(f"{name} opens a connection.")
    for statement in re.split(r"[;{}\n]", bare):
        if not (match := re.search(r"\bprintf?\b", statement)):
            continue
        after = statement[match.end() :]
        depth = 0
        for at, char in enumerate(after):
            depth += (char == "(") - (char == ")")
            if char == ">" and depth <= 0:
                target = re.fullmatch(r">?\s*\x01(\d+)\x02\s*", after[at + 1 :])
                runner.writes([Word(strings[int(target[1])]) if target else Word(after[at:], dynamic=True)])
                break


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
        runner.writes(options(rest, {"--prompt"}).operands)
    else:
        runner.found.execute()


def interpreter(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what runs whose language is not analysed, and what obeys the folder's files."""
    runner.note(name, words)
    found = runner.found
    if len(words) == 2 and words[1].text in {"--version", "-v", "-V", "version", "--help"}:
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
    if any(word.dynamic and word.may_be_option for word in words[1:]):
        found.undecided(f"The options of {name} are not known.")


def sqlite(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a query of SQLite does; all but plain questions may do anything."""
    runner.note(name, words)
    plain = {
        "-header",
        "-csv",
        "-json",
        "-column",
        "-line",
        "-list",
        "-readonly",
        "-noheader",
        "-table",
        "-markdown",
        "-box",
    }
    words_left = [word for word in words[1:] if word.text not in plain]
    runner.reads(words_left[:1])
    texts = [stdin] if len(words_left) == 1 and stdin is not None else [word.text for word in words_left[1:]]
    dynamic = any(word.dynamic for word in words_left)
    statements = [
        part.strip() for text in texts for part in re.split(r";|\n\s*(?=\.)", text) if part.strip(" ;\n")
    ]
    asks = all(_SELECTS.match(part) and not _SQL_RISKS.search(part) for part in statements)
    if not statements or dynamic or not asks or any(word.text.startswith("-") for word in words_left):
        runner.found.unknown(f"{name} may change its database, or run anything.")
        runner.found.effects.add("writes")
    if dynamic:
        runner.found.undecided(f"What {name} does cannot be known.")


HANDLERS = {
    "sed": sed,
    "gsed": sed,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), awk),
    **dict.fromkeys(
        ("python", "python2", "python3", "pypy", "pypy3", *(f"python3.{minor}" for minor in range(8, 16))),
        python,
    ),
    **dict.fromkeys((*BUILDERS, *_INTERPRETERS), interpreter),
    "sqlite3": sqlite,
}
