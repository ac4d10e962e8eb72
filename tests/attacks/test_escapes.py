"""No path leads out of the folder: in any spelling, through any link, by any operation on files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmasos.sandbox.worker.files import Files, Refused
from tests.attacks.escapes import CANARY, Ground, paths

OPERATIONS: Mapping[str, Mapping[str, Any]] = {
    "read": {"offset": 0, "limit": 10_000},
    "write": {"data": b"written\n"},
    "list": {"pattern": "*", "depth": 2, "limit": 100},
    "search": {"pattern": ".", "glob": "*", "limit": 100},
    "stat": {},
    "scan": {},
    "make_folder": {},
    "remove": {},
}


@settings(max_examples=600, deadline=None)
@given(spelled=paths(), operation=st.sampled_from(sorted(OPERATIONS)))
@example("", "search")
@example(".", "scan")
def test_no_operation_on_files_leads_out(spelled: str, operation: str) -> None:
    with TemporaryDirectory() as base:
        ground = Ground.make(Path(base))
        before = ground.touched()
        said: object = ""
        with suppress(Refused, OSError, ValueError):
            files = Files(str(ground.inside))
            said = getattr(files, operation)(path=ground.placed(spelled), **OPERATIONS[operation])
        assert ground.touched() == before
        assert CANARY not in repr(said)


def test_a_link_that_leads_to_itself_hides_no_other_file_from_a_search(tmp_path: Path) -> None:
    ground = Ground.make(tmp_path)
    found, _ = Files(str(ground.inside)).search(pattern="two", path=".", glob="*", limit=10)
    assert [match["path"] for match in found["matches"]] == ["sub/b.txt"]
