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
_TAR_READS = names("-T -X --files-from --exclude-from")
_TAR_VALUED = _TAR_READS | names(
    "-f -C -b -N -L -K -V -H --file --directory --exclude --transform --strip-components --owner --group"
    " --mode --mtime --format --newer --newer-mtime --label --xform --warning --sort --blocking-factor"
    " --record-size --starting-file --tape-length --hole-detection --sparse-version --quoting-style"
    " --index-file --volno-file"
)
_TAR_HARMLESS = _TAR_VALUED | names(
    "-c -r -u -A -x -t -d -a -h -i -j -J -k -l -m -M -n -o -O -p -R -s -S -v -w -W -z -Z --create --append"
    " --update --catenate --concatenate --extract --get --list --diff --compare --delete --test-label"
    " --auto-compress --dereference --hard-dereference --ignore-zeros --bzip2 --xz --gzip --gunzip"
    " --ungzip --zstd --lzip --lzma --lzop --compress --uncompress --keep-old-files --keep-newer-files"
    " --skip-old-files --overwrite --to-stdout --check-links --touch --multi-volume --seek --no-same-owner"
    " --same-owner --preserve-permissions --same-permissions --no-same-permissions --preserve-order"
    " --same-order --block-number --sparse --verbose --verify --interactive --confirmation --exclude-vcs"
    " --exclude-vcs-ignores --exclude-backups --exclude-caches --exclude-caches-all --exclude-caches-under"
    " --no-recursion --recursion --numeric-owner --one-file-system --remove-files --totals --utc"
    " --full-time --wildcards --no-wildcards --anchored --no-anchored --ignore-case --no-ignore-case"
    " --ignore-failed-read --ignore-command-error --no-xattrs --xattrs --acls --selinux"
    " --show-transformed-names --show-stored-names --show-omitted-dirs --null --no-null"
    " --verbatim-files-from --help --version --usage --checkpoint --warning --clamp-mtime"
    " --no-auto-compress --unlink-first --recursive-unlink --atime-preserve --delay-directory-restore"
    " --occurrence --no-overwrite-dir --keep-directory-symlink --read-full-records"
)
_UNZIP_HARMLESS = names("-l -t -p -v -z -c -q -n -o -j -u -f -a -b -d -x -C -L -M -X -P -1 -2 -s -m -h -Z")
_ZIP_HARMLESS = names(
    "-r -q -j -m -u -f -d -0 -1 -2 -3 -4 -5 -6 -7 -8 -9 -e -x -i -D -X -y -v -@ -g -o -P -n -t -S -k -l -c"
    " -z -F -A -R --recurse-paths --quiet --junk-paths --move --update --freshen --exclude --include"
    " --symlinks --verbose --encrypt --password --no-dir-entries --no-extra --test --unzip-command"
)
_SQUEEZED = {
    "gzip": "-S --suffix",
    "xz": "-S --suffix -T --threads -F --format -M --memlimit -C --check",
    "zstd": "-o -D",
    "bzip2": "",
    "lz4": "",
    "compress": "-b -S --suffix",
}
_SQUEEZES = names(
    "-0 -1 -2 -3 -4 -5 -6 -7 -8 -9 -T -c -d -f -h -k -l -n -N -q -r -s -t -v -V -z -e -L -m --best --fast"
    " --stdout --to-stdout --decompress --uncompress --force --help --keep --list --no-name --name --quiet"
    " --recursive --rsyncable --synchronous --test --verbose --version --compress --small --extreme --rm"
    " --ultra --long --no-progress --no-check --single-thread --adaptive"
)


def tar(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `tar` packs or unpacks."""
    runner.note(name, words)
    found, rest = runner.found, list(words[1:])
    if rest and not rest[0].dynamic and re.fullmatch(r"[A-Za-z]+", rest[0].text):
        rest = _old_style(rest)
    parsed = options(rest, _TAR_VALUED)
    if any(option == "?" for option, _ in parsed.options):
        found.undecided("The options of tar are not known.")
    elif strange := parsed.first_but(_TAR_HARMLESS):
        found.unknown(f"tar may run programs by {strange}.")
    if parsed.has("-T", "--files-from") and not parsed.has("--verbatim-files-from", "--null"):
        found.unknown("A list of files may hold options of tar.")
    runner.writes(parsed.values("--index-file", "--volno-file"))
    runner.reads(parsed.values(*_TAR_READS))
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
        if f"-{letter}" in _TAR_VALUED and values:
            made.append(values.pop(0))
    return made + values


def unzip(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what an archive is unpacked to."""
    runner.note(name, words)
    parsed = options(words[1:], {"-d", "-x", "-P"}, permute=True)
    runner.reads(parsed.operands[:1])
    if strange := parsed.first_but(_UNZIP_HARMLESS):
        runner.found.undecided(f"What {name} does by {strange} is not known.")
    if not parsed.has("-l", "-t", "-p", "-v", "-Z", "-z", "-c"):
        runner.writes(parsed.values("-d") or [Word(".")])


def pack(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the archive that is made."""
    runner.note(name, words)
    parsed = options(words[1:], names("-i -x -n -t -P --include --exclude --password"))
    if any(option == "?" for option, _ in parsed.options):
        runner.found.undecided(f"The options of {name} are not known.")
    elif strange := parsed.first_but(_ZIP_HARMLESS):
        runner.found.unknown(f"{name} may run a program, or write elsewhere, by {strange}.")
    runner.writes(parsed.operands[:1])
    runner.reads(parsed.operands[1:])
    if parsed.has("-m", "--move"):
        runner.deletes(parsed.operands[1:])


def squeeze(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the files that are packed one by one, in place."""
    runner.note(name, words)
    family = next(
        (key for key in _SQUEEZED if key in name), "xz" if "lzma" in name or "xz" in name else "gzip"
    )
    valued = names(_SQUEEZED[family])
    parsed = options(words[1:], valued)
    if any(option == "?" for option, _ in parsed.options):
        if family in {"zstd", "lz4"}:
            runner.found.vague(f"The options of {name} are not known.")
            runner.found.effects.add("writes")
    elif strange := parsed.first_but(valued | _SQUEEZES):
        runner.found.unknown(f"What {name} does by {strange} is not known.")
    files = parsed.operands
    runner.reads([*files, *parsed.values("-D")])
    runner.writes(parsed.values("-o"))
    if family == "lz4" and len(files) == 2 and not parsed.has("-m"):
        runner.writes(files[1:])
    if parsed.has("--rm"):
        runner.deletes(files)
    if (
        parsed.has("-c", "--stdout", "--to-stdout", "-l", "--list", "-t", "--test")
        or not files
        or "cat" in name
    ):
        return
    unpacks = parsed.has("-d", "--decompress", "--uncompress") or name.startswith("un") or "gun" in name
    unpacks = unpacks or name == "bunzip2"
    suffix = next((word.text for word in parsed.values("-S", "--suffix")), _SUFFIX.get(name, ".packed"))
    runner.found.effects.add("writes")
    for word in files:
        if runner.known(word):
            bare = re.sub(r"\.\w+$", "", word.text) if word.text != suffix else ""
            bare = word.text.removesuffix(suffix) if parsed.has("-S", "--suffix") else bare
            runner.writes([Word(bare if unpacks else word.text + suffix)])
    if not parsed.has("-k", "--keep") and family not in {"zstd", "lz4"}:
        runner.deletes(word for word in files if not word.dynamic)


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
            if any(other.text in {"if=/dev/null", "count=0"} for other in words) and not word.dynamic:
                runner.found.empty(value)
        elif word.dynamic:
            runner.found.vague("What dd writes cannot be known.")
            runner.found.effects.add("writes")


def hex_dump(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `xxd` reads and writes, whose options are words after one dash."""
    runner.note(name, words)
    rest, paths = list(words[1:]), []
    while rest:
        word = rest.pop(0)
        if word.dynamic and word.may_be_option:
            runner.found.vague("The options of xxd are not known.")
            runner.found.effects.add("writes")
        elif re.fullmatch(r"-(c|cols|g|group\w*|l|len|s|seek|skip|o|off\w*|n|name|R)", word.text):
            rest = rest[1:]
        elif not word.text.startswith("-") or word.text == "-":
            paths.append(word)
    runner.reads(paths[:1])
    runner.writes(paths[1:])


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
        names(
            "gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd lzma unlzma compress uncompress lz4 unlz4"
            " zcat bzcat xzcat zstdcat lzcat lz4cat"
        ),
        squeeze,
    ),
    "dd": dd,
    "xxd": hex_dump,
    "ln": link,
    "patch": patch,
    "split": cut_up,
}
