"""Programs that pack and unpack, and those that copy bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .network import remote_host
from .simple import Runner, options
from .table import SPECS, names
from .words import Word

_SUFFIX = {
    "gzip": ".gz",
    "bzip2": ".bz2",
    "xz": ".xz",
    "zstd": ".zst",
    "lzma": ".lzma",
    "compress": ".Z",
    "lz4": ".lz4",
}
_TAR_VALUED = (
    "-f -C -b -T -X -N -L -K -g -V -H -I -F --file --directory --exclude --exclude-from"
    " --files-from --transform --strip-components --owner --group --mode --mtime --format"
    " --newer --label --listed-incremental --checkpoint --checkpoint-action --to-command"
    " --use-compress-program --rsh-command --rmt-command --info-script --new-volume-script"
    " --xform --warning --sort"
)
_TAR_RISKY = (
    "--checkpoint-action --to-command --use-compress-program -I --rsh-command --rmt-command --info-script"
    " --new-volume-script -F --listed-incremental -g -P --absolute-names"
)


def tar(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `tar` packs or unpacks."""
    runner.note(name, words)
    found, rest = runner.found, list(words[1:])
    if rest and not rest[0].dynamic and re.fullmatch(r"[A-Za-z]+", rest[0].text):
        rest = _old_style(rest)
    parsed = options(rest, _TAR_VALUED.split())
    if parsed.has(*_TAR_RISKY.split()):
        found.unknown("tar may run programs by these options.")
    if any(option == "?" for option, _ in parsed.options):
        found.undecided("The options of tar are not known.")
    archives = parsed.values("-f", "--file")
    for archive in archives:
        if host := remote_host(archive.text):
            found.reach(host)
    folders = parsed.values("-C", "--directory")
    if parsed.has("-x", "--extract", "--get"):
        runner.reads(archives)
        runner.writes(folders or [Word(".")])
    elif parsed.has("-t", "--list", "-d", "--diff", "--compare"):
        runner.reads(archives)
    else:
        if not parsed.has(*names("-c -r -u -A --create --append --update --catenate --concatenate --delete")):
            found.unknown("What tar does is not said.")
        runner.writes(archives)
        runner.reads([*folders, *(word for word in parsed.operands)])
        if parsed.has("--remove-files"):
            runner.deletes(parsed.operands)


def _old_style(rest: list[Word]) -> list[Word]:
    """Return the words of `tar xfC a b` as `tar -x -f a -C b`."""
    letters, values, made = rest[0].text, rest[1:], []
    for letter in letters:
        made.append(Word(f"-{letter}"))
        if f"-{letter}" in _TAR_VALUED.split() and values:
            made.append(values.pop(0))
    return made + values


def unzip(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what an archive is unpacked to."""
    runner.note(name, words)
    parsed = options(words[1:], {"-d", "-x", "-P"}, permute=True)
    runner.reads(parsed.operands[:1])
    if any(option == "?" for option, _ in parsed.options):
        runner.found.undecided(f"The options of {name} are not known.")
    if not parsed.has("-l", "-t", "-p", "-v", "-Z", "-z", "-c"):
        runner.writes(parsed.values("-d") or [Word(".")])


def pack(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the archive that is made."""
    runner.note(name, words)
    parsed = options(words[1:], names("-b -i -x -n -t -P -TT"))
    if parsed.has("-T", "--unzip-command", "-TT", "--test"):
        runner.found.unknown(f"{name} may run a program to test the archive.")
    if any(option == "?" for option, _ in parsed.options):
        runner.found.undecided(f"The options of {name} are not known.")
    runner.writes(parsed.operands[:1])
    runner.reads(parsed.operands[1:])
    if parsed.has("-m", "--move"):
        runner.deletes(parsed.operands[1:])


def squeeze(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the files that are packed one by one, in place."""
    runner.note(name, words)
    parsed = options(words[1:], names("-S --suffix -T --threads -o --format -F"))
    runner.reads(parsed.operands)
    runner.writes(parsed.values("-o"))
    if parsed.has("-c", "--stdout", "--to-stdout", "-l", "--list", "-t", "--test") or not parsed.operands:
        return
    unpacks = (
        parsed.has("-d", "--decompress", "--uncompress")
        or name.startswith("un")
        or name in {"gunzip", "bunzip2"}
    )
    runner.found.effects.add("writes")
    for word in parsed.operands:
        if runner.known(word):
            runner.writes(
                [
                    Word(
                        re.sub(r"\.\w+$", "", word.text)
                        if unpacks
                        else word.text + _SUFFIX.get(name, ".packed")
                    )
                ]
            )
    if not parsed.has("-k", "--keep") and name not in {"zstd", "lz4"}:
        runner.deletes(word for word in parsed.operands if not word.dynamic)


def dd(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `dd` copies."""
    runner.note(name, words)
    runner.found.effects.add("reads")
    for word in words[1:]:
        key, _, value = word.text.partition("=")
        if key == "if":
            runner.reads([Word(value, word.dynamic)])
        elif key == "of":
            runner.writes([Word(value, word.dynamic)])
        elif word.dynamic:
            runner.found.vague("What dd writes cannot be known.")
            runner.found.effects.add("writes")


def link(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note a link, and what it leads to, which may be written by it from now on."""
    runner.note(name, words)
    spec = SPECS["ln"]
    parsed = options(words[1:], spec.takes)
    runner.apply(spec, parsed, name)
    elsewhere = parsed.has("-t", "--target-directory")
    for word in parsed.operands if elsewhere or len(parsed.operands) < 2 else parsed.operands[:-1]:
        runner.writes([word])


def cut_up(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the pieces of a file."""
    runner.note(name, words)
    spec = SPECS["split"]
    parsed = options(words[1:], spec.takes)
    runner.apply(spec, parsed, name)
    if len(parsed.operands) < 2:
        runner.writes([Word("x*")])


def patch(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a patch changes, which only the patch says."""
    runner.note(name, words)
    spec = SPECS["patch"]
    parsed = options(words[1:], spec.takes)
    runner.apply(spec, parsed, name)
    if not parsed.has("--dry-run"):
        runner.found.effects.add("writes")
        runner.found.vague("Which files a patch changes is said in the patch.")


HANDLERS = {
    "tar": tar,
    "bsdtar": tar,
    "unzip": unzip,
    "zip": pack,
    **dict.fromkeys(
        names("gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd lzma unlzma compress uncompress lz4 unlz4"),
        squeeze,
    ),
    "dd": dd,
    "ln": link,
    "patch": patch,
    "split": cut_up,
}
