"""The import order of the packages holds, and public names are the ones meant."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "llmasos"

# From the top down: a part may import what stands in later rows, and itself.
ORDER = [
    {"shell"},
    {"silo"},
    {"audits", "support"},
    {"testing"},
    {"client"},
    {"service"},
    {"kernel"},
    {"doctor"},
    {"agent"},
    {"tools"},
    {"federated"},
    {"migrations"},
    {"cluster", "knowledge", "sandbox", "models", "ledger"},
    {"store"},
    {"api", "listen", "strays"},
    {"config", "fingerprints"},
    {"story"},
    {"amounts", "datasets", "events", "extras", "flips", "imports", "markdown", "parents", "paths", "sqlite"},
    {"secrets"},
    {"streams"},
    {"decisions", "display", "language", "net"},
    {"errors"},
]
# The terminal, the audits and the client are programs of their own: they know the kernel only by its API.
ONLY = {
    "shell": {
        *("amounts", "api", "audits", "client", "config", "datasets", "decisions", "display", "errors"),
        *("events", "fingerprints", "flips", "language", "markdown", "paths", "story", "strays", "streams"),
        "support",
    },
    "audits": {"client", "api", "events", "decisions", "display", "paths", "errors"},
    "silo": {"client", "config", "display", "errors", "federated", "language", "paths", "streams", "support"},
    "support": {"client", "api", "display", "paths", "errors", "sqlite"},
    "client": {"api", "events", "decisions", "display", "paths", "errors"},
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


# Whoever else connects to a place goes through `net`. These connect to the kernel's socket, to a child,
# to what is named on a command line, and to addresses that were checked.
CONNECTING = re.compile(
    r"httpx2?\.(Async)?(Client|HTTPTransport)|httpx2?\.(get|post|put|stream|request|delete|head)"
    r"|urllib\.request\.\w*open\w*|(socket|anyio)\.(connect_tcp|create_connection)|asyncio\.open_connection"
    r"|requests\.\w+|aiohttp\.\w+|http\.client\.\w+|(.*\.)?AsyncOpenAI"
)
CONNECTORS = (
    *("net/", "client/", "models/engines/llama_server.py"),
    *("ledger/check.py", "cluster/addresses.py", "sandbox/egress/proxy.py"),
)


def calls(file: Path) -> set[str]:
    """Return the functions that a module calls, as it names them."""
    nodes = ast.walk(ast.parse(file.read_text()))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


def test_what_fetches_goes_through_the_checked_client() -> None:
    others = [file for file in MODULES if not str(file.relative_to(ROOT)).startswith(CONNECTORS)]
    found = {str(file): {call for call in calls(file) if CONNECTING.fullmatch(call)} for file in others}
    assert not {file: names for file, names in found.items() if names}, "let llmasos.net connect"


def test_the_terminal_is_written_to_in_one_place() -> None:
    writing = {"print", "sys.stdout.write", "sys.stderr.write", "typer.echo"}
    files = [file.name for file in (ROOT / "shell").glob("*.py") if calls(file) & writing]
    assert files == ["output.py"], "let llmasos.shell.output write"


@pytest.mark.parametrize(
    "name",
    [
        "agent",
        "audits",
        "client",
        "cluster",
        "knowledge",
        "ledger",
        "models",
        "net",
        "sandbox",
        "secrets",
        "service",
        "service.access",
        "service.console",
        "support",
        "testing",
        "tools",
    ],
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
