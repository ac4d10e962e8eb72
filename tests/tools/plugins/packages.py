"""Packages that are installed for a test, as pip would have put them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

Install = Callable[..., Path]

GREETER = '''
from llmasos.tools import ToolContext, ToolError, tool


@tool
def greet(name: str, loud: bool = False) -> str:
    """Greets somebody.

    Args:
        name: Whom.
    """
    return f"Hello {name}{'!' if loud else '.'}"
'''


def installed(site: Path) -> Install:
    """Return what installs packages into a folder that Python imports from."""

    def install(
        name: str,
        files: Mapping[str, str | bytes],
        *,
        plugins: Mapping[str, str] | None = None,
        requires: Sequence[str] = (),
        version: str = "1.0",
    ) -> Path:
        for path, content in files.items():
            target = site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        info = site / f"{name.replace('-', '_').replace('.', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        (info / "METADATA").write_text(
            "\n".join(lines + [f"Requires-Dist: {one}" for one in requires]) + "\n"
        )
        points = "".join(f"{key} = {value}\n" for key, value in (plugins or {}).items())
        (info / "entry_points.txt").write_text(f"[llmasos.tools]\n{points}")
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
        return site

    return install


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what installs packages for this test alone."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    return installed(site)
