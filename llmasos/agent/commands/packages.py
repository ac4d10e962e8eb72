"""Managers of packages: what they fetch, and what they run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .network import links_in
from .simple import Runner, options
from .table import names
from .words import Word

_INDEXES = {
    "pip": ("pypi.org", "files.pythonhosted.org"),
    "uv": ("pypi.org", "files.pythonhosted.org"),
    "conda": ("repo.anaconda.com", "conda.anaconda.org"),
    "npm": ("registry.npmjs.org",),
    "yarn": ("registry.yarnpkg.com",),
    "gem": ("rubygems.org",),
    "apt": ("deb.debian.org",),
}
_LOOKS = names("list show freeze check info ls view outdated search why policy help --version -v -V --help")
_LOOKS_THERE = names("info view search outdated")
_LOOKS_HARMLESS = names(
    "-v -V -h -q -l -a -g -f --version --help --quiet --verbose --json --long --depth --parseable --all"
    " --global --outdated --uptodate --editable --user --local --not-required --format --files --installed"
    " --exclude-editable --exclude --path --no-pip-version-check --disable-pip-version-check --prod"
    " --production --dev --no-color"
)
_RUNS = names("test t run run-script start stop restart exec x tool")
_FETCHES = names(
    "install i add ci update up upgrade upgrade-interactive dlx create init import fetch publish unpublish"
    " remove rm uninstall un link unlink dedupe audit login logout npm pack patch patch-commit store"
    " global set deploy self-update env rebuild prune config plugin info outdated owner tag team whoami"
)
_VALUED = names(
    "--format --path --exclude --depth --log --index-url -i --registry --prefix --cwd -C --dir --workspace"
    " --filter --userconfig"
)


def packages(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a manager of packages fetches and runs."""
    found = runner.found
    parsed = options(words[1:], _VALUED)
    first = words.index(parsed.operands[0]) if parsed.operands else 1
    verb = words[first].text if len(words) > 1 else ""
    # As rules know it: without the options that stand before, unless they say what is run, or how.
    before = words[1:first] if verb in _RUNS and name not in {"pip", "pip3"} else ()
    runner.note(name, (words[0], *words[first:], *before))
    runner.writes(parsed.values("--log"))
    key = re.sub(r"3$|-get$|^micromamba$|^mamba$", "", name) or "conda"
    key = "npm" if name == "pnpm" else key
    given = [host for word in words[1:] for host in links_in(word.text)]
    if verb in _LOOKS and not words[first].dynamic:
        found.effects.add("reads")
        if name == "yarn" or verb == "help":
            found.execute()  # a release, or a browser, that the folder may name
        if strange := parsed.first_but(_LOOKS_HARMLESS):
            found.unknown(f"What {name} {verb} does by {strange} is not known.")
        if given:
            found.reach(*given)
        if name not in {"apt", "apt-get", "dpkg", "rpm"} and (
            parsed.has("--outdated") or (verb in _LOOKS_THERE and not (verb == "info" and name == "conda"))
        ):
            found.reach(*(given or _INDEXES.get(key, ())))
            if any(word.dynamic for word in parsed.operands):
                found.vague(f"What {name} asks for cannot be known.")
        return
    found.execute()
    if verb and words[first].dynamic:
        found.undecided(f"What {name} does cannot be known.")
    if verb in _RUNS and name not in {"pip", "pip3"}:
        return
    if name in {"yarn", "pnpm"} and verb and not verb.startswith("-") and verb not in _FETCHES:
        return  # a script of the folder, by its name
    found.effects.add("writes")
    found.reach(*given)
    if not any(re.match(r"-i$|--index-url|--registry", word.text) for word in words[1:]) or not given:
        found.reach(*_INDEXES.get(key, ()))
    if key not in _INDEXES:
        found.unknown(f"{name} may change programs.")


HANDLERS = {
    **dict.fromkeys(
        names(
            "pip pip3 uv npm yarn pnpm conda mamba micromamba gem apt apt-get apk dnf yum brew snap pacman"
            " dpkg rpm pipx flatpak"
        ),
        packages,
    ),
}
