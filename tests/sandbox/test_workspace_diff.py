"""Diffs name what happened to a file, show texts, and count when there is too much to show."""

from __future__ import annotations

import struct

import pytest

from llmasos.sandbox import FolderSummary
from tests.sandbox.conftest import MakeDesk

pytestmark = pytest.mark.anyio

LINES = "".join(f"line {number}\n" for number in range(20))
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480)
JPEG = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08" + struct.pack(">HH", 48, 64) + b"\0" * 9


async def test_the_diff_is_unified_text(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n"})
    (await desk.agent()).write("a.txt", "one\ntwo")
    (shown,), omitted = await desk.space.diff()
    assert (shown.kind, omitted) == ("changed", 0)
    assert shown.diff == (
        "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1,2 @@\n one\n+two\n\\ No newline at end of file\n"
    )


async def test_a_moved_file_is_one_change(make_desk: MakeDesk) -> None:
    desk = make_desk({"same": b"\0" * 500, "text": LINES, "other": "nothing like it\n"})
    before = desk.tree()
    agent = await desk.agent()
    agent.rename("same", "moved")
    agent.rename("text", "written")
    agent.write("written", LINES.replace("line 3\n", "three\n"))
    agent.remove("other")
    agent.write("new", "something else\n")
    shown = {change.path: change for change in (await desk.space.diff())[0]}
    assert {path: (change.kind, change.source) for path, change in shown.items()} == {
        "moved": ("renamed", "same"),
        "new": ("added", ""),
        "other": ("deleted", ""),
        "written": ("renamed", "text"),
    }
    assert shown["moved"].diff == ""
    assert shown["written"].diff.startswith("--- a/text\n+++ b/written\n@@ -1,7 +1,7 @@\n")
    commit = await desk.space.commit(["moved"])
    assert commit.paths == ("moved", "same")
    await desk.space.discard(["text"])
    assert await desk.kinds() == {"new": "added", "other": "deleted"}
    await desk.space.undo()
    assert desk.tree() == before


async def test_what_is_no_text_is_shown_by_size_hash_and_pixels(make_desk: MakeDesk) -> None:
    desk = make_desk({"data": b"\0a", "picture": PNG})
    agent = await desk.agent()
    agent.write("data", b"\0ab")
    agent.write("picture", JPEG)
    agent.write("gif", b"GIF89a" + struct.pack("<HH", 3, 4) + b"\0")
    details = {change.path: change.detail for change in (await desk.space.diff())[0]}
    assert details["data"].startswith("binary, 2 bytes (")
    assert details["gif"].startswith("GIF picture of 3 × 4, 11 bytes (")
    assert details["picture"].startswith("PNG picture of 640 × 480 becomes JPEG picture of 64 × 48, ")


async def test_facts_that_changed_are_named(make_desk: MakeDesk) -> None:
    import os

    desk = make_desk({"a": "a", "b": "b", "dir/c": "c"})
    agent = await desk.agent()
    agent.touch("a").chmod(0o700)
    os.setxattr(agent.touch("b"), "user.note", b"n")
    agent.remove("dir")
    agent.link("dir", "elsewhere")
    details = {change.path: change.detail for change in (await desk.space.diff())[0]}
    assert details == {
        "a": "mode 0644 becomes 0700",
        "b": "attributes user.note",
        "dir": "folder becomes symbolic link",
        "dir/c": "",
    }


async def test_a_long_diff_is_cut(make_desk: MakeDesk) -> None:
    desk = make_desk()
    (await desk.agent()).write("a", "x" * 50 + "\n" + "y\n" * 100_000)
    (shown,), _ = await desk.space.diff()
    assert len(shown.diff) < 61_000
    assert shown.diff.endswith("[the rest of this diff is left out]\n")


async def test_many_changes_are_counted(make_desk: MakeDesk) -> None:
    desk = make_desk({"old/a": "one\ntwo\n", "old/b": "gone\n", "top": b"\0"})
    agent = await desk.agent()
    for number in range(300):
        agent.write(f"new{number % 2}/{number}", f"{number}\n") if number > 1 else agent.mkdir(f"new{number}")
    agent.write("old/a", "one\n2\n3\n")
    agent.remove("old/b")
    agent.write("top", b"\0\0")
    shown, omitted = await desk.space.diff(most_files=10)
    assert (len(shown), omitted) == (10, 293)
    summary = await desk.space.summary()
    assert summary.folders == (
        FolderSummary(folder="", added=2, changed=1),
        FolderSummary(folder="new0", added=149),
        FolderSummary(folder="new1", added=149),
        FolderSummary(folder="old", changed=1, deleted=1),
    )
    assert (summary.added_lines, summary.removed_lines, summary.uncounted) == (300, 2, 1)
