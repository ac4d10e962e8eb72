"""Who a person is to git, so that commits made in a sandbox are theirs."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from llmasos.sandbox.port import ViewKind
from llmasos.secrets.environment import bare_environment

_KEYS = ("user.name", "user.email")
_SECONDS = 5.0
_LONGEST = 1000
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"'})
# Copies have other numbers and times of change, for which git would read every file again at each look.
_COPIED = "[core]\n\tcheckStat = minimal\n"
_WHERE = ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")


@dataclass(frozen=True)
class Identity:
    """A name and an address; one that is not known is empty."""

    name: str = ""
    email: str = ""

    def config(self, kind: ViewKind) -> str:
        """Return the configuration of git that says so, and how to look at files in a view of a kind."""
        known = {"name": self.name, "email": self.email}
        lines = [f'\t{key} = "{value.translate(_ESCAPED)}"\n' for key, value in known.items() if value]
        return "".join([*(["[user]\n"] if lines else []), *lines, _COPIED if kind == "snapshot" else ""])


def read_identity(folder: Path) -> Identity:
    """Return who the person is by their own configuration of git; that of repositories is in the view itself.

    Args:
        folder: Their folder: what they set for the repositories of some places counts there.
    """
    found: dict[str, str] = {}
    # Neither reads what the repository says, which may be anybody's.
    for scope in ("--system", "--global"):
        found |= _settings(folder, scope)
    return Identity(*(found.get(key, "") for key in _KEYS))


def _settings(folder: Path, scope: str) -> dict[str, str]:
    pattern = "^user\\.(name|email)$"
    try:
        done = subprocess.run(
            ["git", "config", scope, "--includes", "--null", "--get-regexp", pattern],
            cwd=folder,
            env=bare_environment(*_WHERE),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    entries = os.fsdecode(done.stdout).split("\0") if done.returncode == 0 else []
    found = (entry.partition("\n") for entry in entries)
    # A name with something in it that nobody sees is none.
    return {key: value for key, _, value in found if len(value) <= _LONGEST and value.isprintable()}
