"""What a running plugin gets, and what it does not, whatever its code asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from llmasos.errors import ToolError
from llmasos.sandbox import LARGEST_ARTIFACT, MOST_ARTIFACTS, FakeSandbox
from llmasos.tools import KernelContext
from llmasos.tools.plugins import hosting as hostings
from llmasos.tools.plugins.hosting import Hosting
from tests.tools.plugins.kernels import Context, Drawer, defined

pytestmark = pytest.mark.anyio


class Stand:
    """A call of a tool, with the folder that it works on."""

    def __init__(self, folder: Path, arguments: dict[str, Any] | None = None, **declared: Any) -> None:
        self.context = Context(FakeSandbox(folder))
        self.drawer = Drawer()
        context = cast(KernelContext, self.context)
        self.ask = Hosting(context, defined(**declared), arguments or {}, self.drawer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    (place / "docs" / "inner").mkdir(parents=True)
    (place / "docs" / "a.txt").write_text("a")
    (place / "docs" / "inner" / "b.txt").write_text("b")
    (place / "docs-other.txt").write_text("other")
    (place / "secret.txt").write_text("secret")
    (place / "docs" / "link.txt").symlink_to("../secret.txt")
    return place


async def fetch(stand: Stand, path: str) -> bytes:
    names = cast(list[str], await stand.ask("fetch", {"path": path}))
    return b"".join(stand.drawer.files[name] for name in names)


async def test_nothing_is_read_or_written_undeclared(folder: Path) -> None:
    stand = Stand(folder, {"path": "docs/a.txt"})
    for name, asked in (
        ("fetch", {"path": "docs/a.txt"}),
        ("list", {"path": ".", "pattern": "*"}),
        ("save", {"path": "docs/a.txt", "name": "new-1"}),
    ):
        with pytest.raises(ToolError, match="has not declared that it"):
            await stand.ask(name, asked)


async def test_all_files_are_read_where_that_is_declared(folder: Path) -> None:
    stand = Stand(folder, reads=True)
    assert await fetch(stand, "secret.txt") == b"secret"
    assert sorted(cast(list[str], await stand.ask("list", {"path": "docs", "pattern": "*.txt"}))) == [
        "docs/a.txt",
        "docs/inner/b.txt",
    ]
    with pytest.raises(ToolError, match="has not declared that it writes"):
        await stand.ask("save", {"path": "x", "name": "new-1"})


@pytest.mark.parametrize("given", ["docs", "./docs/", ["other", "docs"], "docs/../docs"])
async def test_arguments_open_what_they_name_and_what_lies_below(folder: Path, given: Any) -> None:
    stand = Stand(folder, {"path": given}, reads=("path",))
    assert await fetch(stand, "docs/inner/b.txt") == b"b"
    for other in ("secret.txt", "docs-other.txt", "docs/../secret.txt", "docs/link.txt", ".", "/etc/passwd"):
        with pytest.raises(ToolError):
            await fetch(stand, other)


@pytest.mark.parametrize("given", [None, 7, {"path": "docs"}, [1, None], "", [""]])
async def test_arguments_that_are_no_paths_open_nothing(folder: Path, given: Any) -> None:
    with pytest.raises(ToolError, match="is none of it"):
        await fetch(Stand(folder, {"path": given}, reads=("path",)), "docs/a.txt")


async def test_files_come_in_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostings, "_PIECE", 3)
    (folder / "long.txt").write_bytes(b"0123456789")
    (folder / "empty.txt").write_bytes(b"")
    stand = Stand(folder, reads=True)
    assert await fetch(stand, "long.txt") == b"0123456789"
    assert len(stand.drawer.files) == 4
    assert await fetch(stand, "empty.txt") == b""


async def test_files_are_saved_up_to_a_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostings, "_LARGEST_SAVED", 5)
    stand = Stand(folder, {"out": "new/out.txt"}, writes=("out",))
    stand.drawer.files["new-1"] = b"12345"
    await stand.ask("save", {"path": "new/out.txt", "name": "new-1"})
    assert (folder / "new" / "out.txt").read_bytes() == b"12345"
    stand.drawer.files["new-1"] = b"123456"
    with pytest.raises(ToolError, match="more than 5 bytes"):
        await stand.ask("save", {"path": "new/out.txt", "name": "new-1"})
    with pytest.raises(ToolError, match="is none of it"):
        await stand.ask("save", {"path": "docs/a.txt", "name": "new-1"})


@pytest.mark.parametrize("name", ["../bundle.zip", "/etc/passwd", "", ".", "..", "a/b", 7])
async def test_what_leaves_a_call_is_named_plainly(folder: Path, name: Any) -> None:
    stand = Stand(folder, writes=True)
    with pytest.raises(ToolError, match="is not the name of a file of this call"):
        await stand.ask("save", {"path": "x", "name": name})
    with pytest.raises(ToolError, match="is not the name of a file of this call"):
        await stand.ask("keep", {"name": "x", "file": name})


async def test_the_model_is_asked_within_limits(folder: Path) -> None:
    asked = {"text": "t", "instructions": "i", "max_tokens": 10**9}
    with pytest.raises(ToolError, match="asks models"):
        await Stand(folder).ask("ask", asked)
    assert await Stand(folder, models=True).ask("ask", asked) == "i|t|32000"
    with pytest.raises(ToolError, match="100,000 characters"):
        await Stand(folder, models=True).ask("ask", {**asked, "text": "x" * 100_001})


async def test_secrets_are_given_by_name(folder: Path) -> None:
    stand = Stand(folder, secrets=("KEY", "OTHER"))
    assert await stand.ask("secret", {"name": "KEY"}) == "s3cret"
    with pytest.raises(ToolError, match="OTHER, which is not stored") as raised:
        await stand.ask("secret", {"name": "OTHER"})
    assert "[tools.secrets]" in raised.value.hint
    with pytest.raises(ToolError, match="has not declared that it is given the secret 'KEY'"):
        await Stand(folder).ask("secret", {"name": "KEY"})


async def test_pictures_are_handed_out_by_what_they_are(folder: Path) -> None:
    stand = Stand(folder)
    stand.drawer.files["kept"] = b"\x89PNG\r\n\x1a\n"
    await stand.ask("keep", {"name": "../../chart.exe", "file": "kept"})
    assert [(one.name, one.media_type) for one in stand.context.kept] == [("chart-1.png", "image/png")]
    stand.drawer.files["kept"] = b"x" * (LARGEST_ARTIFACT + 1)
    with pytest.raises(ToolError, match="8,000,000 bytes are the most"):
        await stand.ask("keep", {"name": "big", "file": "kept"})
    stand.drawer.files["kept"] = b"x"
    for _ in range(MOST_ARTIFACTS - 1):
        await stand.ask("keep", {"name": "x.txt", "file": "kept"})
    with pytest.raises(ToolError, match="files are the most"):
        await stand.ask("keep", {"name": "x.txt", "file": "kept"})


async def test_what_is_shown_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostings, "_MOST_STREAMED", 10)
    stand = Stand(folder)
    await stand.ask("log", {"text": "one"})
    for _ in range(5):
        await stand.ask("piece", {"text": "12345678"})
    assert stand.context.shown == [("stderr", "one\n"), ("stdout", "123456")]
    for wrong in (float("nan"), float("inf")):
        await stand.ask("progress", {"what": "", "done": wrong, "total": 2, "unit": "pages"})
    await stand.ask("progress", {"what": "", "done": 1, "total": 2, "unit": "pages"})
    assert stand.context.steps == [("probe", 1.0, 2.0, "pages")]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("run_shell", {"command": "id"}),
        ("__init__", {}),
        ("fetch", {}),
        ("fetch", {"path": "x", "more": 1}),
        ("progress", {"what": "", "done": [], "total": {}, "unit": ""}),
    ],
)
async def test_whatever_else_is_asked_for_is_an_error(folder: Path, name: str, asked: dict[str, Any]) -> None:
    with pytest.raises(ToolError):
        await Stand(folder, reads=True).ask(name, asked)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "is no JSON"),
        ({"value": "{"}, "is no JSON"),
        ({"value": "[" * 100_000}, "is no JSON"),
        ({"value": 7}, "7 is not of type 'string'"),
        ({"value": json.dumps("x" * 600_000)}, "is no JSON"),
        ({"failed": "No such city.", "hint": "Ask for another."}, "No such city.\nAsk for another."),
        ({"raised": "ValueError: bad"}, "probe raised ValueError: bad"),
    ],
)
async def test_results_that_are_none_are_errors(folder: Path, told: dict[str, Any], said: str) -> None:
    stand = Stand(folder, returns={"type": "string"})
    await stand.ask("result", told)
    with pytest.raises(ToolError) as raised:
        await stand.ask.result()
    assert said in str(raised.value)


async def test_the_first_result_counts_and_none_is_an_error(folder: Path) -> None:
    stand = Stand(folder)
    with pytest.raises(ToolError, match="ended without a result"):
        await stand.ask.result()
    await stand.ask("result", {"value": '"one"'})
    await stand.ask("result", {"value": '"two"'})
    assert await stand.ask.result() == "one"
