"""Scripts: files of the folder that a call runs, and what they hold when somebody allows it."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Iterator

from llmasos.agent.commands import normalise
from llmasos.agent.policy import Facts

Weigh = Callable[[str], Awaitable[str]]
"""Returns the SHA-256 of what a file holds now; empty where there is none that can be read."""
_MOST = 40
_MOST_WORDS = 12
_PACKAGE, _PYTHON = ("package.json",), ("pyproject.toml",)
_PROJECT = {
    **dict.fromkeys(("make", "gmake"), ("GNUmakefile", "makefile", "Makefile")),
    **dict.fromkeys(("npm", "pnpm", "yarn", "bun", "npx"), _PACKAGE),
    **dict.fromkeys(("uv", "poetry", "pdm", "hatch"), _PYTHON),
    **dict.fromkeys(("pytest", "py.test"), ("conftest.py", "pytest.ini", "tox.ini", "setup.cfg", *_PYTHON)),
    "just": ("justfile", "Justfile", ".justfile"),
    "task": ("Taskfile.yml", "Taskfile.yaml"),
    "tox": ("tox.ini", *_PYTHON),
    "nox": ("noxfile.py",),
    "rake": ("Rakefile", "rakefile"),
    "cargo": ("build.rs", "Cargo.toml"),
    "mvn": ("pom.xml",),
    "ant": ("build.xml",),
    "gradle": ("build.gradle", "build.gradle.kts"),
    "cmake": ("CMakeLists.txt",),
    "docker": ("Dockerfile",),
    "docker-compose": ("compose.yaml", "compose.yml", "docker-compose.yml"),
    "snakemake": ("Snakefile", "workflow/Snakefile"),
    "pre-commit": (".pre-commit-config.yaml",),
}
"""Files by which programs know what to run, when they are not told."""


async def held(facts: Facts, weigh: Weigh) -> dict[str, str]:
    """Return the SHA-256 of each script that a call runs, by its path, as far as it can be seen.

    Args:
        facts: What is known of the call.
        weigh: Weighs a file.
    """
    found: dict[str, str] = {}
    for path in list(dict.fromkeys(_paths(facts)))[:_MOST]:
        if sha256 := await weigh(path):
            found[path] = sha256
    return found


def _paths(facts: Facts) -> Iterator[str]:
    yield from facts.runs
    lines = [line.split(" ") for line in facts.commands]
    known = [name for name in _PROJECT if any(name in words for words in lines)]
    if not known:
        return
    words = dict.fromkeys(part for line in lines for word in line for part in word.split("=") if part)
    # They may be told another file, or another folder.
    named = [word for word in words if not word.startswith("-") and "://" not in word][:_MOST_WORDS]
    yield from (normalise(word)[0] for word in named)
    folders = [word for word in named if not posixpath.splitext(word)[1]]
    for folder in ("", *folders):
        for name in known:
            yield from (normalise(posixpath.join(folder, file))[0] for file in _PROJECT[name])
