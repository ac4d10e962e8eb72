"""Programs that ask data in a language of their own: jq and SQLite."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .simple import Runner, options
from .table import names
from .words import Word

_TEXTS = names("--arg --argjson")
_FILES = names("--slurpfile --rawfile --argfile")
_SELECTS = re.compile(
    r"(select|with|explain|values|\.(tables|schema|headers?|mode|databases|indexes|dump|width)\b)",
    re.IGNORECASE,
)
_CHANGES = re.compile(
    r"(insert|update|replace|create(\s+unique)?(\s+temp)?\s+(table|index|view)|begin|commit|end)\b"
    r"|\.import(\s+--csv|\s+--skip\s+\d+)*\s+[\w./-]+\s+\w+$",
    re.IGNORECASE,
)
_SQL_RISKS = re.compile(
    r"\b(writefile|load_extension|edit|readfile|fts3_tokenizer|attach|fsdir|zipfile|sqlar_\w+)\b",
    re.IGNORECASE,
)
_SQL_LOSSES = re.compile(r"\b(delete|drop|alter)\b", re.IGNORECASE)
_SQL_WRITES = re.compile(r"\b(insert|update|delete|replace|drop|create|alter|into)\b", re.IGNORECASE)


def jq(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the files that `jq` reads."""
    runner.note(name, words)
    rest: list[Word] = []
    at = 1
    while at < len(words):
        text = words[at].text
        if text in _TEXTS | _FILES:
            runner.reads(words[at + 2 : at + 3] if text in _FILES else [])
            at += 3
            continue
        if text in {"--args", "--jsonargs"}:
            break
        rest.append(words[at])
        at += 1
    parsed = options(rest, names("-L -f --indent --from-file --library-path"))
    files = parsed.values("-f", "--from-file")
    runner.reads([*files, *parsed.values("-L", "--library-path"), *parsed.operands[0 if files else 1 :]])


def sqlite(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what SQLite does; all but plain questions and additions may do anything."""
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
        "-bail",
        "-batch",
    }
    words_left = [word for word in words[1:] if word.text not in plain]
    runner.reads(words_left[:1])
    texts = [stdin] if len(words_left) == 1 and stdin is not None else [word.text for word in words_left[1:]]
    dynamic = any(word.dynamic for word in words_left)
    statements = [
        part.strip() for text in texts for part in re.split(r";|\n\s*(?=\.)", text) if part.strip(" ;\n")
    ]
    asks = all(_SELECTS.match(part) and not _SQL_WRITES.search(part) for part in statements)
    known = all(
        _CHANGES.match(part) or (_SELECTS.match(part) and not _SQL_LOSSES.search(part)) for part in statements
    ) and not any(map(_SQL_RISKS.search, statements))
    imported = [part.split()[-2] for part in statements if part.startswith(".import") and known]
    runner.reads(map(Word, imported))
    options_left = any(word.text.startswith("-") for word in words_left)
    if dynamic or options_left or not statements or not known:
        runner.found.unknown(f"{name} may change its database, or run anything.")
        runner.found.effects.add("writes")
    elif not asks:
        runner.writes(words_left[:1])
    if dynamic:
        runner.found.undecided(f"What {name} does cannot be known.")


HANDLERS = {**dict.fromkeys(("jq", "gojq", "jaq"), jq), "sqlite3": sqlite}
