"""`python -m llmasos.tools.plugins.new NAME FOLDER`: writes a plugin to begin with."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import resources
from pathlib import Path

import llmasos
from llmasos.display import display
from llmasos.errors import LLMasOSError, ToolError
from llmasos.streams import exit_code

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "tools.py": "src/{name}/tools.py",
    "test_tools.py": "tests/test_tools.py",
    "notes.txt": "examples/notes.txt",
}


def write_plugin(name: str, folder: Path) -> list[Path]:
    """Write a package with a tool, its tests and a README, and return its files.

    Args:
        name: The plugin's name, which is its package's and its module's, too.
        folder: Where it is written; it must not be there, or be empty.

    Raises:
        ToolError: The name cannot be a module's, or something is in the folder.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise ToolError(
            f"{name!r} cannot be the name of a plugin.",
            hint="Take small letters, digits and _, and no word that Python knows, such as word_counts.",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ToolError(f"{folder} is there already.", hint="Choose another place with --folder.")
    written = []
    try:
        for source, place in _FILES.items():
            text = resources.files("llmasos.tools.plugins").joinpath("template", f"{source}.in").read_text()
            written.append(folder / place.format(name=name))
            _write(written[-1], text.replace("@NAME@", name).replace("@VERSION@", llmasos.__version__))
        written.append(folder / "src" / name / "__init__.py")
        _write(written[-1], f'"""Tools of the plugin {name}."""\n')
    except OSError as error:
        raise ToolError(f"{folder} cannot be written: {error.strerror}.") from error
    return written


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main() -> int:
    """Write a plugin, and say what comes next."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    try:
        files = write_plugin(name, folder)
    except LLMasOSError as error:
        print(display(str(error), keep_newlines=True), file=sys.stderr)
        return 1
    for file in files:
        print(display(str(file)))
    print("\nNext:")
    for line in (
        f"cd {display(str(folder))}",
        "pip install --editable '.[test]'   # into the environment that llmasos runs in",
        "pytest                              # its tests",
        "llmasos tools test                  # as it will be used: in a sandbox",
        f"llmasos tools enable {name}",
    ):
        print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
