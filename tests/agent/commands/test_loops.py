"""Loops over globs act on what these match, and what a loop runs, or puts together, fails closed."""

import pytest

from llmasos.agent.commands import analyse_python, parse

KNOWN = [
    ('for f in docs/*.md; do sed -i s/x/b/ "$f"; done', ["docs/*.md"], []),
    ('for f in ./*.md; do sed -i s/x/b/ "$f"; done', ["*.md"], []),
    ('for f in *.md; do sed -i s/x/b/ -- "$f"; done', ["*.md"], []),
    ('for f in a/*.JPEG; do mv "$f" "${f%.JPEG}.jpg"; done', ["a/*.jpg"], ["a/*.JPEG"]),
    ('for f in *.JPEG; do mv "$f" "${f%.*}".jpg; done', ["*.jpg"], ["*.JPEG"]),
    ('shopt -s nullglob; for f in *.txt; do mv "$f" "${f,,}"; done', ["*.txt"], ["*.txt"]),
    ('for f in a/*; do mv "$f" "${f// /_}"; done', ["a/*", "a/*/*"], ["a/*"]),
    ('for f in *.tmp; do rm -f "$f"; done', [], ["*.tmp"]),
    ('for f in *.tmp; do rm -f -- "$f" "$f".bak; done', [], ["*.tmp", "*.tmp.bak"]),
    ('for f in src/*.md; do cp "$f" "out/${f##*/}"; done', ["out/*.md"], []),
    ('for f in src/*.md; do cp "$f" "out/${f#src/}"; done', ["out/*.md"], []),
    ('for f in a.md b.md; do mv "$f" "${f%.md}.txt"; done', ["a.txt", "b.txt"], ["a.md", "b.md"]),
    ('for f in a/*.md; do echo x > "$f.bak"; done', ["a/*.md.bak"], []),
    ('for f in a/*.wav; do ffmpeg -i "$f" "${f%.wav}.mp3"; done', ["a/*.mp3"], []),
    ('for f in a/*.png; do convert "$f" -resize 5% "${f%.png}_s.png"; done', ["a/*_s.png"], []),
]

NOT_KNOWN = [
    'for f in *.md; do sed -i s/x/b/ "$f"; done',
    "for f in *.tmp; do rm -f $f; done",
    'for f in ../*.tmp; do rm -f "$f"; done',
    'for f in a/../../*; do rm -f "$f"; done',
    'for f in ~/*.tmp; do rm -f "$f"; done',
    'for f in .*; do rm -rf "$f"; done',
    'for f in a/.*; do rm -rf "$f"; done',
    'for f in *.sh; do "$f"; done',
    'for f in *.sh; do bash "$f"; done',
    'for f in *.sh; do sh -c "$f"; done',
    'for f in *.sh; do eval "$f"; done',
    'for f in *.sh; do source "$f"; done',
    'for f in *.py; do python3 "$f"; done',
    'for f in a/*.md; do sed -i "s/x/$f/" y; done',
    'for f in a/*.md; do awk "/$f/" y; done',
    "for f in a/*; do python3 -c \"print('$f')\"; done",
    'shopt -s dotglob; for f in a/*x; do mv "$f" "${f%x}"; done',
    'for f in a/*; do mv "$f" "${f//a/.}"; done',
    'for f in a/*; do mv "$f" "${f%x*}"; done',
    'for f in x*; do mv "$f" "${f/xb/.b}"; done',
    'for f in a/*.js; do node "$f"; done',
    'for f in a/*; do mv "$f" "${f@P}"; done',
    'for f in *.md; do f=/x; rm "$f"; done',
    'for f in *.md; do printf -vf x; rm "$f"; done',
    'for f in *.md; do read -rf; rm "$f"; done',
    'for f in *.wav; do ffmpeg -i "$f" "${f%.wav}.mp3"; done',
]


@pytest.mark.parametrize(("command", "writes", "deletes"), KNOWN)
def test_a_loop_acts_on_what_its_globs_match(command: str, writes: list[str], deletes: list[str]) -> None:
    program = parse(command)
    assert program.effects <= {"reads", "writes", "deletes"}, program.why
    assert not program.dynamic, program.why
    assert sorted(program.writes) == writes
    assert sorted(program.deletes) == deletes


@pytest.mark.parametrize("command", NOT_KNOWN)
def test_what_a_loop_may_do_elsewhere_is_not_known(command: str) -> None:
    program = parse(command)
    assert program.dynamic or "unknown" in program.effects


@pytest.mark.parametrize("option", ['-T "$f"', '-d @"$f"', '--data-binary "@$f"', '-F "x=@$f"'])
def test_what_a_loop_sends_is_known(option: str) -> None:
    program = parse(f"for f in a/*.md; do curl {option} https://a.example/; done")
    assert program.reads == ("a/*.md",)
    assert parse(f"curl {option} https://a.example/").dynamic


@pytest.mark.parametrize(
    ("command", "tidied"),
    [
        ("mkdir -p pdf && mv *.pdf pdf/", ["*.pdf", "pdf", "pdf/*.pdf"]),
        ("mkdir x && cd x && mv ../*.md .", ["*.md", "x", "x/*.md"]),
        ("python3 -m venv .venv", [".venv"]),
        ("python3 -m venv --clear .venv", []),
        ("mv a.pdf x/", []),
        ("mkdir x; mv a.py x/", []),
        ("mkdir x; mv a.pdf x/b.sh", ["x"]),
        ("mkdir x; mv a.pdf x/; rm -r x", ["a.pdf", "x/a.pdf"]),
        ("mkdir x; mv a.pdf x/; rm a.pdf", ["x", "x/a.pdf"]),
        ("mkdir x; python3 -c 'import shutil; shutil.rmtree(\"x\")'", []),
        ("mkdir /tmp/x; mv a.pdf /tmp/x", []),
        ("mkdir -p .; mv x/a.md .", []),
    ],
)
def test_what_only_makes_folders_and_moves_into_them_loses_nothing(command: str, tidied: list[str]) -> None:
    assert sorted(parse(command).tidied) == tidied


IMPORTS = "import glob, os, shutil\nfrom pathlib import Path\n"

KNOWN_PYTHON = [
    (
        "for p in Path('docs').glob('*.md'):\n    p.write_text(p.read_text().replace('a', 'b'))",
        ["docs/*.md"],
        [],
    ),
    ("for p in sorted(Path('.').rglob('*.md')):\n    p.write_text('x')", ["**/*.md"], []),
    ("for p in Path('a').glob('*.JPEG'):\n    p.rename(p.with_suffix('.jpg'))", ["a/*.jpg"], ["a/*.JPEG"]),
    ("for p in Path('a').glob('*'):\n    p.rename(p.with_name(p.name.lower()))", ["a/*"], ["a/*"]),
    ("for f in glob.glob('a/*.md'):\n    open(f, 'w').write('x')", ["a/*.md"], []),
    (
        "o = Path('o')\nfor p in Path('a').glob('*'):\n    (o / f'{p.stem}.html').write_text('x')",
        ["o/*.html"],
        [],
    ),
    ("for p in Path('a').glob('*.md'):\n    shutil.move(str(p), f'o/{p.name}')", ["o/*"], ["a/*.md"]),
    ("for p in Path('a').glob('*.md'):\n    shutil.copy(p, Path('o') / p.name)", ["o/*"], []),
    ("[p.unlink() for p in Path('a').glob('*.tmp')]", [], ["a/*.tmp"]),
]


@pytest.mark.parametrize(("code", "writes", "deletes"), KNOWN_PYTHON)
def test_a_loop_of_python_acts_on_what_its_globs_match(
    code: str, writes: list[str], deletes: list[str]
) -> None:
    program = analyse_python(IMPORTS + code)
    assert program.effects <= {"reads", "writes", "deletes"}, program.why
    assert not program.dynamic, program.why
    assert list(program.writes) == writes
    assert list(program.deletes) == deletes


@pytest.mark.parametrize(
    "code",
    [
        "for p in Path('..').glob('*'):\n    p.unlink()",
        "for p in Path('a').glob('../../*'):\n    p.unlink()",
        "for p in Path('/etc').glob('*'):\n    p.unlink()",
        "for p in Path('a').glob(x):\n    p.unlink()",
        "for p in Path('a').glob('*'):\n    pass\np.unlink()",
        "for p in Path('a').glob('*'):\n    p = Path('/x')\n    p.unlink()",
        "glob = x\nfor p in glob.glob('*'):\n    os.remove(p)",
        "for p in Path('a').glob('*'):\n    os.system(f'rm {p}')",
        "for p in Path('a').glob('*'):\n    exec(p.read_text())",
        "for p in Path('a').glob('*'):\n    (Path('o') / p.stem).mkdir()",
        "for p in Path('a').glob('*'):\n    (Path('o') / f'{p.stem}').mkdir()",
        "for p in Path('a').glob('*'):\n    p.with_suffix(x).unlink()",
        "for p in Path('a').glob('*'):\n    os.rename(p, x(p))",
    ],
)
def test_what_a_loop_of_python_may_do_elsewhere_is_not_known(code: str) -> None:
    program = analyse_python(IMPORTS + code)
    assert program.dynamic or "unknown" in program.effects


def test_what_a_loop_of_python_reads_is_known() -> None:
    program = analyse_python(
        IMPORTS + "for p in Path('a').glob('*.md'):\n    print(p.read_text(), open(p).read())"
    )
    assert "a/*.md" in program.reads
