"""Options by which a program may run something else are told from those by which it may not."""

import pytest

from llmasos.agent.commands.harmless import strange_words


@pytest.mark.parametrize(
    "line",
    [
        "pytest",
        "pytest -q",
        "pytest -xvs tests/agent",
        "pytest -k name -m slow --tb=short --maxfail 3",
        "pytest -kname",
        "python -m pytest -q tests",
        "uv run pytest -q",
        "mypy --strict src",
        "ruff check --select E,F .",
        "black --check .",
        "eslint . --max-warnings 0",
        "jest -t name --ci",
        "cargo test --release --workspace",
        "cargo test -p core",
        "go test -race -count=1 -run Name ./...",
        "git commit -m fix the report",
        "git commit -am fix",
        "git add -A",
        "npm run build -s",
        "npm start -- dev",
    ],
)
def test_options_of_every_day_are_harmless(line: str) -> None:
    assert strange_words(line) == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pytest -p evil", ("-p",)),
        ("pytest -qp evil", ("-qp",)),
        ("pytest -c evil.ini", ("-c",)),
        ("pytest --import-mode=importlib evil/test.py", ("--import-mode=importlib",)),
        ("pytest --basetemp=src", ("--basetemp=src",)),
        ("pytest -k -p evil", ("-p",)),
        ("pytest @args.txt", ("@args.txt",)),
        ("pytest /tmp/test.py ../other ~/x", ("/tmp/test.py", "../other", "~/x")),
        ("python -m pytest -p evil", ("-p",)),
        ("poetry run pytest -c evil.ini", ("-c",)),
        ("npm run build --script-shell=./evil.sh", ("--script-shell=./evil.sh",)),
        ("npm run build --prefix evil", ("--prefix",)),
        ("npm run build -- --watch", ("--watch",)),
        ("cargo test --config target.x.runner", ("--config",)),
        ("cargo +nightly test", ("+nightly",)),
        ("go test -exec ./evil.sh", ("-exec",)),
        ("eslint . --rulesdir evil", ("--rulesdir",)),
        ("prettier --check . --plugin=./evil.js", ("--plugin=./evil.js",)),
        ("prettier --write src", ("--write",)),
        ("ruff check . --fix", ("--fix",)),
        ("docker ps -v", ("-v",)),
        ("git commit --amend --no-verify", ("--amend", "--no-verify")),
        ("mix test X=1", ("X=1",)),
    ],
)
def test_other_options_are_strange(line: str, words: tuple[str, ...]) -> None:
    assert strange_words(line) == words
