"""The package's extras: which versions they name, and which of them are installed."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path


def pinned(extra: str) -> dict[str, str]:
    """Return the versions that an extra names, by package; this checkout's, or those of what is installed."""
    pyproject = Path(__file__).parent.parent / "pyproject.toml"
    if pyproject.exists():
        requires = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"][extra]
    else:
        told = metadata.requires("llmasos") or ()
        requires = [line for line in told if re.search(rf"extra == ['\"]{extra}['\"]", line)]
    found = (re.match(r"([\w.-]+)==([\w.]+)", line) for line in requires)
    return {one[1]: one[2] for one in found if one}


def installed(name: str) -> str:
    """Return the version of a package that is installed, or nothing."""
    try:
        # A build for one kind of processor says so behind a plus.
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""
