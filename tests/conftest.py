"""What every test shares: asyncio as the backend, and folders of its own."""

from itertools import count
from pathlib import Path

import pytest

from llmasos.migrations import upgrade
from llmasos.store import Store

_homes = count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's data, configuration and kernel."""
    # Not made here: few tests write there, and finding a free name takes the longer the more there are.
    base = tmp_path_factory.getbasetemp() / "homes" / str(next(_homes))
    for name in ("DATA", "CONFIG", "RUNTIME"):
        monkeypatch.setenv(f"LLMASOS_{name}_DIR", str(base / name.lower()))


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speak English in tests, whatever the language of whoever runs them."""
    for name in ("LLMASOS_SHELL__LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A person's folder with a few files."""
    place = tmp_path / "folder"
    (place / "src").mkdir(parents=True)
    (place / "notes.txt").write_text("今天天气很好。\n")
    (place / "main.py").write_text("import os\n\nprint(os.getcwd())\n")
    (place / "src" / "longer.py").write_text("\n".join(f"x{n} = {n}" for n in range(20)) + "\n")
    return place


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and no rows, made once."""
    path = tmp_path_factory.mktemp("schema") / "llmasos.db"
    store = Store(f"sqlite:///{path}")
    upgrade(store)
    store.close()
    return path
