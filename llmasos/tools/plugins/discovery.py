"""Which plugins are installed, read from the packages' metadata; nothing of theirs is imported."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path

from llmasos.errors import ToolError

GROUP = "llmasos.tools"


@dataclass(frozen=True)
class Plugin:
    """A plugin that is installed, or that an author works on.

    Args:
        name: The entry point's name.
        module: The module with its tools.
        attribute: The one tool in it that is meant; all of them when empty.
        package: The package that brings it.
        version: Of the package.
        distribution: What is installed of the package; None for a folder that is not.
        folder: The author's folder, where it is not installed.
    """

    name: str
    module: str
    attribute: str = ""
    package: str = ""
    version: str = ""
    distribution: Distribution | None = None
    folder: Path | None = None


def installed_plugins() -> dict[str, Plugin | str]:
    """Return the plugins by their names, and in place of one that cannot be told from another, why."""
    # A package may have been installed a moment ago.
    importlib.invalidate_caches()
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return {name: _one_of(found[name]) for name in sorted(found)}


def plugins_in(folder: Path) -> list[Plugin]:
    """Return the plugins that the `pyproject.toml` in a folder names.

    Raises:
        ToolError: There is no such file, it cannot be read, or names none.
    """
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text()).get("project", {})
    except FileNotFoundError:
        raise ToolError(
            f"{folder} has no pyproject.toml.", hint="Begin a plugin with `llmasos tools new NAME`."
        ) from None
    except (OSError, ValueError) as error:
        raise ToolError(f"{file} cannot be read: {error}.") from error
    points = project.get("entry-points", {}).get(GROUP, {})
    if not points:
        raise ToolError(
            f"{file} names no plugin.",
            hint=f'Name the module with your tools under [project.entry-points."{GROUP}"].',
        )
    package, version = str(project.get("name", "")), str(project.get("version", ""))
    return [
        Plugin(name, *_value(str(value)), package, version, folder=folder.resolve())
        for name, value in points.items()
    ]


def _one_of(points: Iterable[EntryPoint]) -> Plugin | str:
    # An editable install may be found twice, by the same name.
    packages = {point.dist.name: point for point in points if point.dist is not None}
    if len(packages) > 1:
        return f"The packages {' and '.join(sorted(packages))} both bring it; remove one of them."
    if not packages:
        return "It belongs to no package."
    ((package, point),) = packages.items()
    assert point.dist is not None
    return Plugin(point.name, *_value(point.value), package, point.dist.version, point.dist)


def _value(value: str) -> tuple[str, str]:
    module, _, attribute = value.partition(":")
    return module.strip(), attribute.partition("[")[0].strip()
