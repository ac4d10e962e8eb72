"""Harmless options: those by which programs that check and build a project run no other code."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .table import names

# With a sign of equality: what takes a value.
_COMMON = names("-q -v -h --quiet --verbose --help --version --color= --no-color --")
_RUST = names(
    "--release --all --workspace --lib --bins --tests --all-targets --locked --offline --all-features"
    " --no-default-features --features= -p= --package= --no-run --no-fail-fast --check"
)
_GO = names("-race -short -cover -count= -run= -timeout= -bench= -benchmem -failfast -parallel=")
_RUNNER = names(
    "--ci --bail --silent --runInBand -i --watch=false --run -t= --testNamePattern= --passWithNoTests"
)
_HARMLESS = {
    "pytest": names(
        "-vv -vvv -qq -x -s -l -k= -m= -n= -ra -rA -rs -rf --tb= --lf --ff --last-failed --failed-first"
        " --maxfail= --durations= --co --collect-only --no-header --no-summary --exitfirst --sw --stepwise"
        " --disable-warnings --capture= --showlocals --strict-markers"
    ),
    "mypy": names(
        "--strict --pretty --no-error-summary --ignore-missing-imports --show-error-codes --no-color-output"
    ),
    "ruff": names(
        "--output-format= --select= --ignore= --statistics --diff --check --no-cache --exit-zero"
        " --line-length="
    ),
    "black": names("--check --diff -l= --line-length="),
    "isort": names("--check --check-only -c --diff"),
    "flake8": names("--max-line-length= --select= --ignore= --statistics --count"),
    "eslint": names("--max-warnings= --ext="),
    "prettier": names("--check -c -l --list-different --no-config"),
    "tsc": names("--noEmit --pretty --strict"),
    "jest": _RUNNER,
    "vitest": _RUNNER,
    "cargo": _RUST,
    "go": _GO,
    "git": names(
        "-m= -a -u -A -n -s --message= --all --update --dry-run --signoff --allow-empty --no-edit --oneline"
        " --stat --short --porcelain"
    ),
    "npm": names("-s --silent --if-present"),
    "pnpm": names("-s --silent --if-present"),
    "yarn": names("-s --silent"),
    "dotnet": names("--no-build --no-restore -c= --configuration="),
}
"""Options of programs beside the common ones, by the names of the programs."""
_OTHERS = names("docker podman kubectl helm")
# Where the program that is run stands behind others.
_STARTED = re.compile(r"(?:python3?(?:\.\d+)? -m|(?:uv|poetry|pdm|hatch) run|bundle exec) (?=\S)")
_PLAIN = re.compile(r"(?![-@+/~])(?!.*(?:=|://))(?!(?:.*/)?\.\.(?:/|$)).*", re.DOTALL)


def strange_words(line: str) -> tuple[str, ...]:
    """Return the words of a command that are neither options known to be harmless nor plain operands.

    Args:
        line: The command, as its words with blanks between them.
    """
    program, *rest = _STARTED.sub("", line, count=1).split(" ")
    known = _HARMLESS.get(program, frozenset())
    if program not in _OTHERS:
        known |= _COMMON
    found, passed_on = [], False
    while rest:
        word = rest.pop(0)
        if passed_on or not word.startswith("-"):
            found += [word] if not _PLAIN.fullmatch(word) else []
        elif not _is_known(word, known):
            found.append(word)
        elif f"{word}=" in known and rest and not rest[0].startswith("-"):
            rest.pop(0)
        # What stands behind it is for what the project says is run.
        passed_on = passed_on or word == "--"
    return tuple(found)


def _is_known(word: str, known: Sequence[str] | frozenset[str]) -> bool:
    name, equals, _ = word.partition("=")
    if word in known or f"{name}=" in known or (not equals and name in known):
        return True
    if word.startswith("--"):
        return False
    for letter in word[1:]:
        if f"-{letter}=" in known:
            return True
        if f"-{letter}" not in known:
            return False
    return True
