"""The import order of the packages holds, and public names are the ones meant."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "llmasos"

# From the top down: a part may import what stands in later rows, and itself.
ORDER = [
    {"shell"},
    {"audits"},
    {"client"},
    {"service"},
    {"kernel"},
    {"doctor"},
    {"agent"},
    {"tools"},
    {"migrations"},
    {"cluster", "sandbox", "models", "ledger"},
    {"store"},
    {"api", "listen"},
    {"config"},
    {"events", "extras", "paths"},
    {"decisions"},
    {"errors"},
]
# The terminal, the audits and the client are programs of their own: they know the kernel only by its API.
ONLY = {
    "shell": {"audits", "client", "api", "events", "decisions", "paths", "errors"},
    "audits": {"client", "api", "events", "decisions", "paths", "errors"},
    "client": {"api", "events", "decisions", "paths", "errors"},
}
RANK = {name: rank for rank, row in enumerate(ORDER) for name in row}


def imports(file: Path) -> set[str]:
    """Return the parts of ours that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "llmasos":
                names = [f"llmasos.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("llmasos.")}
    return {name for name in found if name in RANK}


MODULES = [file for file in sorted(ROOT.rglob("*.py")) if file != ROOT / "__init__.py"]


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_only_go_down(file: Path) -> None:
    part = file.relative_to(ROOT).parts[0].removesuffix(".py")
    assert part in RANK, f"{part} has no place in the import order"
    for name in imports(file) - {part}:
        assert RANK[name] > RANK[part], f"{file} imports {name}, which stands above or beside it"
        if part in ONLY:
            assert name in ONLY[part], f"{file} imports {name}"


@pytest.mark.parametrize(
    "name", ["agent", "audits", "client", "cluster", "ledger", "models", "sandbox", "service", "tools"]
)
def test_no_public_name_leaks(name: str) -> None:
    package = importlib.import_module(f"llmasos.{name}")
    for item in package.__all__:
        assert getattr(package, item) is not None
    ours = {
        item
        for item, value in vars(package).items()
        if not item.startswith("_") and str(getattr(value, "__module__", "")).startswith("llmasos")
    }
    assert ours <= set(package.__all__)


def test_the_top_exports_what_it_says() -> None:
    package = importlib.import_module("llmasos")
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError):
        package.nothing  # noqa: B018
