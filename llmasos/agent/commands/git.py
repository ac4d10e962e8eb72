"""Git: what its commands do to the folder, and by which of its settings it runs programs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .network import host_of, remote_host
from .simple import Parsed, Runner, options
from .table import names
from .words import Word

_READS = names(
    "status log diff show blame annotate shortlog describe rev-parse rev-list ls-files ls-tree"
    " cat-file grep count-objects check-ignore check-attr merge-base name-rev whatchanged cherry"
    " for-each-ref show-ref var version help diff-tree diff-index diff-files range-diff show-branch"
    " verify-commit verify-tag --version --help"
)
_LISTS = {
    "branch": r"-[arvl]+|--list|--all|--remotes|--show-current|--contains|--(no-)?merged|--(sort|format)=.*",
    "tag": r"-l|-n\d*|--list|--contains|--sort=.*|--format=.*",
    "config": r"--get|--get-(all|regexp)|--list|-l|--show-(origin|scope)|--global|--local|--system",
    "reflog": r"show|",
    "worktree": r"list",
    "notes": r"list|show",
    "submodule": r"status|summary",
    "bisect": r"log",
}
"""Verbs with the words by which they only list."""

_FIRST = {
    "stash": r"list|show",
    "remote": r"get-url",
    "config": r"get|list",
}
"""Verbs with the first words by which they only list, whatever follows."""

_WIDE = names("--list --get --get-all --get-regexp -l")
_WRITES = names(
    "add commit checkout switch restore merge rebase cherry-pick revert init stash apply am mv tag"
    " branch worktree notes reset pull config remote reflog gc prune repack pack-refs update-index"
    " update-ref write-tree read-tree commit-tree format-patch sparse-checkout bundle archive"
    " submodule symbolic-ref mktree hash-object maintenance checkout-index clean rm fsck merge-tree"
)
_REACHES = names("clone fetch push pull ls-remote")
_RISKY = names(
    "--ext-diff --textconv --open-files-in-pager -O --upload-pack --receive-pack --exec -x --tool --extcmd"
    " --recurse-submodules --template --separate-git-dir --config --filter-command --filters"
)
_HARMLESS_SETTING = re.compile(
    r"(color\..*|core\.quotepath|core\.pager=(cat|)|user\.(name|email)|log\.\w+|diff\.(renames|algorithm|context)"
    r"|advice\..*|init\.defaultbranch|core\.autocrlf|commit\.gpgsign=false|column\..*|safe\.directory)(=.*)?",
    re.IGNORECASE,
)


def git(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `git` does."""
    found, rest = runner.found, list(words[1:])
    places: list[Word] = []
    while rest and rest[0].text.startswith("-") and rest[0].text not in {"--version", "--help"}:
        option = rest.pop(0)
        key, _, value = option.text.partition("=")
        if (
            key in {"-c", "-C", "--git-dir", "--work-tree", "--config-env", "--namespace", "--exec-path"}
            and not value
        ):
            given = rest.pop(0) if rest and key != "--exec-path" else Word("")
        else:
            given = Word(value, option.dynamic)
        if key == "-C":
            places.append(given)
        elif key == "-c" and _HARMLESS_SETTING.fullmatch(given.text) and not given.dynamic:
            continue
        elif key not in {
            "-p",
            "--paginate",
            "--no-pager",
            "-P",
            "--no-optional-locks",
            "--literal-pathspecs",
            "--bare",
        }:
            found.unknown(f"git {key} may run anything.")
    if not rest or rest[0].dynamic:
        runner.note(name, words)
        found.effects.add("reads")
        if rest:
            found.undecided("What git does cannot be known.")
        return
    verb = rest[0].text
    # As rules know it: without the options that stand before.
    after = rest[1:]
    while verb in {"remote", "submodule", "hook"} and after and after[0].text.startswith("-"):
        after = after[1:]
    runner.note(name, (words[0], rest[0], *(after or rest[1:])))
    kept = found.cwds
    runner.reads(places)
    for place in places:
        found.enter(None if place.dynamic else place.text)
    _verb(runner, verb, rest[1:])
    found.cwds = kept


def _verb(runner: Runner, verb: str, words: list[Word]) -> None:
    found = runner.found
    parsed = options(
        words, names("-m -F -C -c -b -B --message --author --date -n -S -G -o --output --format --pretty -e")
    )
    # What is the value of an option in one command of git is an option by itself in another.
    alone = options(words, {"--output"})
    if verb != "clean" and alone.has(*(_RISKY - {"-x"} if verb == "cherry-pick" else _RISKY)):
        found.unknown(f"git {verb} may run programs by these options.")
    if any(option == "?" for option, _ in parsed.options):
        found.undecided(f"The options of git {verb} are not known.")
    # Git also looks at files outside of its folder.
    runner.reads(word for word in words if word.text.startswith(("/", "~/", "../")))
    runner.writes(alone.values("--output"))
    if verb == "help" and alone.options:
        found.unknown("git help may open a browser.")
    if verb == "submodule" and any(word.text == "foreach" for word in words):
        found.unknown("git submodule foreach runs anything.")
    first = next((word.text for word in words if not word.text.startswith("-")), "")
    if (
        verb in _REACHES
        or (verb == "remote" and first == "show" and len(parsed.operands) > 1 and not alone.has("-n"))
        or (
            verb in {"submodule", "remote", "archive"}
            and any(re.match(r"update|--remote|--init|prune|sync", word.text) for word in words)
        )
    ):
        _reaches(runner, verb, parsed)
    elif verb in _READS or _lists(verb, words):
        found.effects.add("reads")
        return
    if verb in _WRITES or verb == "clone":
        _changes(runner, verb, parsed)
    elif verb not in _REACHES:
        found.unknown(f"What git {verb} does is not known.")


def _lists(verb: str, words: list[Word]) -> bool:
    """Return whether a command only lists what there is."""
    if any(word.dynamic for word in words):
        return False
    texts = [word.text for word in words]
    flags = [text for text in texts if text.startswith("-")]
    named = [text for text in texts if not text.startswith("-")]
    if verb == "remote" and (not named or named[0] == "show"):
        return all(flag in {"-v", "--verbose", "-n"} for flag in flags)
    if verb == "symbolic-ref":
        return len(named) == 1 and all(flag in {"--short", "-q", "--quiet"} for flag in flags)
    if verb in _FIRST and re.fullmatch(_FIRST[verb], texts[0] if texts else ""):
        return verb != "config" or all(re.fullmatch(_LISTS[verb], flag) for flag in flags)
    if verb not in _LISTS or verb == "config":
        # A name alone asks for its value.
        asks = any(flag in _WIDE for flag in flags) or (len(named) == 1 and named[0].count("."))
        return verb == "config" and bool(asks) and all(re.fullmatch(_LISTS[verb], flag) for flag in flags)
    if verb in {"branch", "tag"}:
        if named and not any(re.match("-l|--list|--contains", flag) for flag in flags):
            return False
        return all(re.fullmatch(_LISTS[verb], flag) for flag in flags)
    if verb in {"worktree", "bisect"} and not texts:
        return False
    return all(re.fullmatch(_LISTS[verb], text) for text in texts)


def _changes(runner: Runner, verb: str, parsed: Parsed) -> None:
    found = runner.found
    found.effects.add("writes")
    paths = [word for word in parsed.operands if not word.text.startswith("-")]
    if verb == "rm" and not parsed.has("--cached"):
        runner.deletes(paths)
    elif verb == "clean" and not parsed.has("-n", "--dry-run"):
        runner.deletes(paths or [Word(".")])
    elif verb == "reset" and parsed.has("--hard", "--merge", "--keep"):
        runner.deletes([Word(".")])
    elif verb == "mv":
        runner.deletes(paths[:-1])
        runner.writes(paths[-1:])
    elif verb in {"restore", "checkout"} and paths and all(not word.dynamic for word in paths):
        runner.writes(word for word in paths if re.search(r"[./*]", word.text))
    elif verb in {"format-patch", "archive"}:
        runner.writes(parsed.values("-o", "--output", "--output-directory"))
    elif verb == "worktree" or (verb == "bundle" and paths and paths[0].text == "create"):
        runner.writes(paths[1:2])
    elif verb == "init":
        runner.writes(paths)
    if any(word.dynamic for word in parsed.operands) and verb not in {"commit", "tag"}:
        found.vague(f"What git {verb} changes cannot be known.")


def _reaches(runner: Runner, verb: str, parsed: Parsed) -> None:
    found = runner.found
    found.effects.add("network")
    if verb != "ls-remote":
        found.effects.add("writes")
    operands = parsed.operands[1:] if verb in {"submodule", "remote"} else parsed.operands
    where = operands[:1]
    if not where or where[0].dynamic:
        found.vague("Which host git reaches cannot be known.")
    elif "::" in where[0].text:
        found.unknown(f"`{where[0].text}` may run anything.")
    elif host := host_of(where[0].text) or remote_host(where[0].text):
        found.reach(host)
    else:
        found.vague(f"Which host `{where[0].text}` is cannot be known.")
    if verb == "clone":
        runner.writes(operands[1:2])


HANDLERS = {"git": git}
