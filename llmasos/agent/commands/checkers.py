"""Programs that check, show and shrink files, by the options that do no more than that."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .simple import Runner, options
from .table import Spec, names
from .words import Word

_CSV = names(
    "-d --delimiter -t --tabs -q --quotechar -u --quoting -p --escapechar -z --maxfieldsize -e --encoding -L"
    " --locale -K --skip-lines -c --columns -C --not-columns -m --match -r --regex -I --max-rows -i --indent"
    " -k --key -f --format -s --sheet --max-columns --max-column-width --date-format --datetime-format"
)
_CSV_HARMLESS = _CSV | names(
    "-S --skipinitialspace -H --no-header-row -v --verbose -l --linenumbers -n --names -x"
    " --delete-empty-columns -a --any-match --invert-match --no-inference -y --snifflimit --zero --version"
    " --reverse --ignore-case --csv --json --type --nulls --unique --min --max --sum --mean --median --stdev"
    " --len --freq --count --stream --left --right --outer --filenames"
)
_FIND = names(
    "-e --extension -t --type -d --max-depth --min-depth --exact-depth -E --exclude -S --size"
    " --changed-within --changed-before -c --color -j --threads --max-results -o --owner"
)
_SHOWN = names(
    "-l --language --style --theme -r --line-range -H --highlight-line --color --decorations --paging --tabs"
    " --wrap --terminal-width -m --map-syntax --file-name --italic-text"
)

_SPECS = {
    **dict.fromkeys(
        ("fd", "fdfind"),
        Spec(
            skip=1,
            valued=_FIND,
            files=names("--ignore-file"),
            risky=names("-x --exec -X --exec-batch -l --list-details"),
            harmless=_FIND
            | names(
                "-H --hidden -I --no-ignore -u --unrestricted -s --case-sensitive -i --ignore-case -g --glob"
                " -F --fixed-strings -a --absolute-path -L --follow -p --full-path -0 --print0 -1 -q --quiet"
                " --no-ignore-vcs --strip-cwd-prefix --prune --regex --version --help --and"
            ),
        ),
    ),
    **dict.fromkeys(
        ("bat", "batcat"),
        Spec(
            valued=_SHOWN,
            risky=names("--pager"),
            harmless=_SHOWN
            | names(
                "-A --show-all -p --plain -n --number -d --diff -f --force-colorization -P -u --unbuffered -L"
                " --list-languages --list-themes --version --help --squeeze-blank --chop-long-lines"
            ),
            shape=r"(?!cache$).*",
        ),
    ),
    "shellcheck": Spec(
        valued=names(
            "-s --shell -e --exclude -f --format -S --severity -o --enable -i --include -C --color -W"
        ),
        files=names("--rcfile -P --source-path"),
        harmless=names("-x --external-sources -a --check-sourced --norc --version -V --help --list-optional"),
    ),
    "hadolint": Spec(
        valued=names("-f --format --ignore -t --failure-threshold"),
        files=names("-c --config"),
        harmless=names("--no-fail --no-color --version --help --verbose -V"),
    ),
    "yamllint": Spec(
        valued=names("-d --config-data -f --format"),
        files=names("-c --config-file"),
        harmless=names("-s --strict --no-warnings --list-files --version --help"),
    ),
    **dict.fromkeys(
        names("csvcut csvlook csvstat csvjson csvgrep csvsort csvjoin csvstack csvformat"),
        Spec(valued=_CSV, harmless=_CSV_HARMLESS),
    ),
    "in2csv": Spec(valued=_CSV, harmless=_CSV_HARMLESS, risky=names("--write-sheets"), shape=r"(?!.*://).*"),
    "xmllint": Spec(
        valued=names("--xpath --encode --pretty"),
        files=names("--schema --relaxng --schematron"),
        harmless=names("--format --noout --html --nonet --recover --c14n --noblanks --nowarning --version"),
        shape=r"(?!.*://).*",
    ),
    "shfmt": Spec(
        valued=names("-i --indent -ln --language-dialect --filename"),
        harmless=names("-d --diff -l --list -s --simplify -b -c -k -f --find --version -h"),
    ),
    **dict.fromkeys(
        ("jpegoptim", "optipng"),
        Spec(
            "write",
            valued=names("-m --max -S --size -T --threshold -s -o"),
            harmless=names(
                "-f --force -p --preserve -q --quiet -v --verbose -n --noaction -t --totals --strip-all"
                " --strip-none --all-progressive --all-normal --keep-all -k"
            ),
        ),
    ),
    "cloc": Spec(
        valued=names("--exclude-dir --include-lang --exclude-lang --exclude-ext --include-ext"),
        harmless=names("--by-file --quiet --json --csv --yaml --md --hide-rate --vcs --version"),
        risky=names("--extract-with"),
    ),
    **dict.fromkeys(
        ("eza", "exa", "lsd", "tokei"),
        Spec(valued=names("-L --level -I --ignore-glob -s --sort --time -e --exclude -t --type -o --output")),
    ),
    "mediainfo": Spec(
        valued=names("--Output --Language"),
        harmless=names("-f --Full --Version --Help"),
        risky=names("--LogFile"),
        shape=r"(?!.*://).*",
    ),
}
_QUERY = names("-o --output-format -p --input-format -I --indent")
_QUERY_HARMLESS = _QUERY | names(
    "-r --raw-output -P --prettyPrint -M --no-colors -C --colors -e --exit-status -y --yaml-output -j"
    " --tojson -n --null-input -c --compact-output -N --no-doc --unwrapScalar -i --inplace --in-place -V"
    " --version"
)
_WORDS_VALUED = names("-L --ignore-words-list -S --skip -q --quiet-level")
_WORDS_FILES = names("-I --ignore-words -D --dictionary -x --exclude-file")
_WORDS_HARMLESS = names(
    "-w --write-changes -c --enable-colors -f --check-filenames -s --summary --count --version"
)


def check(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a program of this table does."""
    runner.note(name, words)
    spec = _SPECS[name]
    runner.apply(spec, options(words[1:], spec.takes), name)


def query(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the files that `yq` asks, and those that it changes in their places."""
    runner.note(name, words)
    parsed = options(words[1:], _QUERY)
    if strange := parsed.first_but(_QUERY_HARMLESS):
        runner.found.unknown(f"What {name} does by {strange} is not known.")
    files = parsed.operands
    if files and files[0].text in {"e", "eval", "ea", "eval-all"}:
        files = files[1:]
    if files and re.search(r"\b(load\w*|system|env\w*|strenv|splitDoc)\b", files[0].text):
        runner.found.unknown(f"What {name} does by {files[0].text} is not known.")
    runner.reads(files[1:])
    if parsed.has("-i", "--inplace", "--in-place"):
        runner.writes(files[1:])


def spelling(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the files whose words `codespell` looks at, or corrects."""
    runner.note(name, words)
    parsed = options(words[1:], _WORDS_VALUED | _WORDS_FILES)
    if strange := parsed.first_but(_WORDS_VALUED | _WORDS_FILES | _WORDS_HARMLESS):
        runner.found.unknown(f"What {name} does by {strange} is not known.")
    files = parsed.operands or [Word(".")]
    runner.reads([*files, *parsed.values(*_WORDS_FILES)])
    if parsed.has("-w", "--write-changes"):
        runner.writes(files)


def drawing(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the picture that Graphviz draws."""
    runner.note(name, words)
    parsed = options(words[1:], names("-T -o -K -G -N -E"))
    if strange := parsed.first_but(names("-T -o -K -G -N -E -V -v -q")):
        runner.found.unknown(f"What {name} does by {strange} is not known.")
    runner.reads(parsed.operands)
    runner.writes(parsed.values("-o"))


def writing(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `tesseract` reads in a picture, and where it puts it."""
    runner.note(name, words)
    parsed = options(words[1:], names("-l --psm --oem --dpi"))
    picture, made, kinds = parsed.operands[:1], parsed.operands[1:2], parsed.operands[2:]
    strange = parsed.first_but(names("-l --psm --oem --dpi --version --list-langs"))
    strange = strange or next(
        (w.text for w in kinds if w.text not in {"pdf", "txt", "hocr", "tsv", "quiet"}), ""
    )
    if strange or any("://" in word.text for word in picture):
        runner.found.unknown(f"What {name} does by {strange or picture[0].text} is not known.")
    runner.reads(picture)
    runner.writes(
        Word(f"{word.path.text}.*", word.path.dynamic) for word in made if word.text not in {"-", "stdout"}
    )


HANDLERS = {
    **dict.fromkeys(_SPECS, check),
    "yq": query,
    "codespell": spelling,
    **dict.fromkeys(names("dot neato fdp sfdp twopi circo"), drawing),
    "tesseract": writing,
}
