"""A plugin's code, gathered for a sandbox: its package and the pure-Python packages that it needs."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from llmasos import errors
from llmasos.errors import ToolError
from llmasos.sandbox.image import packages_inside
from llmasos.tools import api, running
from llmasos.tools.plugins.discovery import Plugin
from llmasos.tools.plugins.importing import installed_spec

_LARGEST = 50_000_000
_COMPILED = (".so", ".pyd", ".dylib")
_SKIPPED = ("__pycache__", ".git", ".venv", "node_modules")
_OURS = {
    "llmasos/__init__.py": '"""What tools use of LLMasOS inside a sandbox."""\n',
    "llmasos/tools/__init__.py": "from llmasos.errors import ToolError\n"
    "from llmasos.tools.api import Declaration, ToolContext, tool\n"
    '\n__all__ = ["Declaration", "ToolContext", "ToolError", "tool"]\n',
}


@dataclass(frozen=True)
class Bundle:
    """A plugin's code.

    Args:
        sha256: Over the names and the contents of the plugin's files and those of what it needs.
        archive: A zip file with them, and with what a tool uses of ours.
        compiled: Packages that it needs and that are not pure Python: the sandbox has to have them.
    """

    sha256: str
    archive: bytes
    compiled: tuple[str, ...] = ()

    @classmethod
    def of(cls, plugin: Plugin) -> Bundle:
        """Gather a plugin's code from where it is installed.

        Raises:
            ToolError: It is not there, or too large.
        """
        paths: dict[str, Path] = dict(_own_files(plugin))
        compiled: list[str] = []
        if plugin.distribution is not None:
            # A package may have more than the one module that is named.
            for own in (plugin.distribution, *_needed(plugin.distribution)):
                listed = dict(_listed(own))
                if any(path.suffix in _COMPILED for path in listed.values()):
                    compiled.append(own.name)
                    if own is not plugin.distribution:
                        continue
                paths = {**listed, **paths}
        size = sum(path.stat().st_size for path in paths.values())
        if size > _LARGEST:
            raise ToolError(
                f"The plugin {plugin.name} has {size:,} bytes with what it needs, {_LARGEST:,} are the most."
            )
        files = {name: path.read_bytes() for name, path in paths.items()}
        return cls(_sha256(files), _zipped(files), tuple(sorted(compiled)))

    @property
    def code(self) -> dict[str, bytes]:
        """The files, less what is ours."""
        with zipfile.ZipFile(io.BytesIO(self.archive)) as archive:
            names = (name for name in archive.namelist() if not name.startswith("llmasos/"))
            return {name: archive.read(name) for name in names}


def signature(plugin: Plugin) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when any file of a plugin's own package does, without reading them."""
    paths = dict(_own_files(plugin))
    if plugin.distribution is not None:
        for own in (plugin.distribution, *_needed(plugin.distribution)):
            paths.update(_listed(own))
    found = ((name, path.stat()) for name, path in sorted(paths.items()))
    return tuple((name, info.st_mtime_ns, info.st_size) for name, info in found)


def _own_files(plugin: Plugin) -> Iterator[tuple[str, Path]]:
    """Yield the files of the plugin's own package: from where it lies, installed as editable or not."""
    top = plugin.module.partition(".")[0]
    roots = [plugin.folder / "src", plugin.folder] if plugin.folder is not None else _installed_root(top)
    for root in roots:
        if (root / top).is_dir():
            yield from _below(root / top, root)
            return
        if (root / f"{top}.py").is_file():
            yield f"{top}.py", root / f"{top}.py"
            return
    raise ToolError(
        f"The plugin {plugin.name} names the module {plugin.module}, which is not there.",
        hint=f"Install the package {plugin.package} again, or correct its entry point.",
    )


def _installed_root(top: str) -> list[Path]:
    spec = installed_spec(top)
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(place).parent for place in spec.submodule_search_locations]
    return [Path(spec.origin).parent] if spec.origin else []


def _below(folder: Path, root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(root)
        # A link may lead anywhere.
        if path.is_file() and not path.is_symlink() and not set(inner.parts) & set(_SKIPPED):
            yield inner.as_posix(), path


def _listed(needed: Distribution) -> Iterator[tuple[str, Path]]:
    """Yield the files of an installed package, as far as they lie where packages do."""
    root = Path(str(needed.locate_file(""))).resolve()
    for file in needed.files or ():
        path = Path(str(file.locate()))
        inside = not file.is_absolute() and path.is_file() and path.resolve() == root / file.as_posix()
        if inside and ".." not in file.parts and not set(file.parts) & {"__pycache__"}:
            yield file.as_posix(), path


def _needed(root: Distribution) -> Iterator[Distribution]:
    """Yield the packages that one needs, less those that every sandbox has, each once."""
    seen = {"llmasos", canonicalize_name(root.name), *map(canonicalize_name, packages_inside())}
    waiting: list[tuple[Distribution, tuple[str, ...]]] = [(root, ("",))]
    while waiting:
        package, extras = waiting.pop()
        for line in package.requires or ():
            wanted = _wanted(line, extras)
            if wanted is None or canonicalize_name(wanted.name) in seen:
                continue
            seen.add(canonicalize_name(wanted.name))
            try:
                found = distribution(wanted.name)
            except PackageNotFoundError:
                continue
            waiting.append((found, ("", *wanted.extras)))
            yield found


def _wanted(line: str, extras: Sequence[str]) -> Requirement | None:
    """Return what a line of metadata requires here; None when that is nothing."""
    try:
        wanted = Requirement(line)
        asked = wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras)
    except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
        return None
    return wanted if asked else None


def _sha256(files: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode("utf-8", "surrogateescape"))
        total.update(files[name])
    return total.hexdigest()


def _zipped(files: dict[str, bytes]) -> bytes:
    ours = {name: text.encode() for name, text in _OURS.items()}
    for module in (errors, api, running):
        ours[f"{module.__name__.replace('.', '/')}.py"] = Path(str(module.__file__)).read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        # Ours come last: what a plugin calls by our names is not taken for it.
        for name, content in {**files, **ours}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
