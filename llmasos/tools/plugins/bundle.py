"""A plugin's code, gathered for a sandbox: its package and the pure-Python packages that it needs."""

from __future__ import annotations

import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from llmasos import errors
from llmasos.errors import ToolError
from llmasos.sandbox.image import packages_inside
from llmasos.tools import api, running
from llmasos.tools.plugins.discovery import Plugin

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
        files: dict[str, bytes] = {}
        compiled: list[str] = []
        for name, path in _own_files(plugin):
            files[name] = path.read_bytes()
        if plugin.distribution is not None:
            for needed in _needed(plugin.distribution):
                paths = list(_listed(needed))
                if any(path.suffix in _COMPILED for _, path in paths):
                    compiled.append(needed.name)
                    continue
                for name, path in paths:
                    files.setdefault(name, path.read_bytes())
        size = sum(map(len, files.values()))
        if size > _LARGEST:
            raise ToolError(
                f"The plugin {plugin.name} has {size:,} bytes with what it needs, {_LARGEST:,} are the most."
            )
        return cls(_sha256(files), _zipped(files), tuple(sorted(compiled)))


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
    # Where the code lies now, not where a module of that name was imported from.
    specs = (finder.find_spec(top, None) for finder in sys.meta_path)
    spec = next(filter(None, specs), None)
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(place).parent for place in spec.submodule_search_locations]
    return [Path(spec.origin).parent] if spec.origin else []


def _below(folder: Path, root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(root)
        if path.is_file() and not set(inner.parts) & set(_SKIPPED):
            yield inner.as_posix(), path


def _listed(needed: Distribution) -> Iterator[tuple[str, Path]]:
    for file in needed.files or ():
        path = Path(str(file.locate()))
        if ".." not in file.parts and "__pycache__" not in file.parts and path.is_file():
            yield file.as_posix(), path


def _needed(root: Distribution) -> Iterator[Distribution]:
    """Yield the packages that one needs, less those that every sandbox has, each once."""
    seen = {"llmasos", _canonical(root.name), *map(_canonical, packages_inside())}
    waiting = [root]
    while waiting:
        for line in waiting.pop().requires or ():
            try:
                wanted = Requirement(line)
            except InvalidRequirement:
                continue
            name = _canonical(wanted.name)
            if name in seen or (wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})):
                continue
            seen.add(name)
            try:
                found = distribution(wanted.name)
            except PackageNotFoundError:
                continue
            waiting.append(found)
            yield found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256(files: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode("utf-8", "surrogatepass"))
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
