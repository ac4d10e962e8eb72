"""Every kind of view hides the same, shows the same changes and commits the same folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .users import as_user
from .visit import BACK, EDITS, SECRETS, facts, fill_guarded

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
WAYS = {
    "docker-overlay": ("docker", "overlay"),
    "jail-overlay": ("bubblewrap", "overlay"),
    "jail-snapshot": ("bubblewrap", "snapshot"),
    "jail-overlay-as-user": ("bubblewrap", "overlay"),
    "jail-snapshot-as-user": ("bubblewrap", "snapshot"),
}
SPECIAL = "a pipe, socket or device, which is never written to the folder"
HIDDEN = "a hidden file lies here, which is never shown, and never written unless it is granted"
KINDS = {
    "absolute": ["added", "symbolic link"],
    "big": ["changed", "large, 100,000 bytes (1120a8195b1b31db) becomes 67,108,864 bytes (a85b9462296285c1)"],
    "changed": ["changed", ""],
    "dangling": ["added", "symbolic link"],
    "dir": ["added", "folder"],
    "empty": ["deleted", "folder"],
    "empty/gone": ["deleted", ""],
    "file": ["changed", "file becomes folder"],
    "file/inner": ["added", "folder"],
    "file/inner/x": ["added", ""],
    "first": ["added", ""],
    "folder": ["changed", "folder becomes file"],
    "folder/a": ["deleted", ""],
    "folder/b": ["deleted", ""],
    "line\n\udcff": ["added", ""],
    "mode": ["changed", "mode 0644 becomes 0640"],
    "noted": ["changed", "attributes user.note"],
    "opaque/new": ["changed", ""],
    "opaque/old": ["deleted", ""],
    "pipe": ["added", SPECIAL],
    "second": ["added", ""],
    "shared": ["changed", "becomes one file with another name"],
    "shared too": ["added", ""],
    "socket": ["added", SPECIAL],
}
KINDS_BACK = {
    "file": ["changed", "folder becomes file"],
    "file/inner": ["deleted", "folder"],
    "file/inner/x": ["deleted", ""],
    "folder": ["changed", "file becomes folder"],
    "folder/a": ["added", ""],
    "pipe": ["added", SPECIAL],
    "socket": ["added", SPECIAL],
}
TEXTS = (
    "--- /dev/null\n+++ b/dangling\n@@ -0,0 +1,2 @@\n+no\n+where\n",
    "--- a/changed\n+++ b/changed\n@@ -1 +1,2 @@\n one\n+two\n",
    "--- a/folder/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n",
    "+++ b/line\\n\\xff\n@@ -0,0 +1 @@\n+odd\n\\ No newline at end of file\n",
    "--- a/opaque/new\n+++ b/opaque/new\n@@ -1 +1 @@\n-old\n+new\n",
)


@pytest.fixture(scope="module", params=WAYS)
def seen(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What a visit saw and did, in a place that everybody may enter."""
    backend, kind = WAYS[request.param]
    base = Path(tempfile.mkdtemp(prefix="llmasos-test-"))
    base.chmod(0o755)
    (base / "folder").mkdir()
    command = [sys.executable, "-m", "tests.integration.sandbox.visit", backend, str(base), kind]
    if request.param.endswith("as-user"):
        command = as_user(command, base)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    shutil.rmtree(base)
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)


def test_secrets_are_neither_seen_nor_overwritten(seen: dict[str, Any]) -> None:
    secrets = seen["secrets"]
    assert secrets["found"].startswith("(['conf', 'conf/a', 'deep', 'deep/down', 'deep/down/b'], b'")
    assert sorted(secrets["listed"]) == ["conf", "conf/a", "deep", "deep/down", "deep/down/b"]
    for name in ("SECRET", ".env", "server.key", ".ssh"):
        assert name not in secrets["found"]
    assert secrets["matched"] == ["deep/down/b"]
    assert secrets["read"] == ["FileError"] * len(SECRETS)
    assert secrets["granted"] == ["SECRET\n"] * len(SECRETS)
    assert secrets["diff"] == {
        ".env": ["added", HIDDEN, "--- /dev/null\n+++ b/.env\n@@ -0,0 +1 @@\n+mine\n"],
        ".ssh": ["added", f"folder; {HIDDEN}", ""],
        ".ssh/config": ["added", HIDDEN, "--- /dev/null\n+++ b/.ssh/config\n@@ -0,0 +1 @@\n+mine\n"],
        "conf/a": ["deleted", "", "--- a/conf/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"],
    }
    assert HIDDEN in secrets["refused"]
    assert secrets["left"] == [".env", ".ssh", ".ssh/config"]
    assert secrets["kept"] == ["SECRET\n"] * len(SECRETS)
    assert secrets["beside"] == [".env"]


def test_edits_are_shown_and_committed_alike(seen: dict[str, Any], tmp_path: Path) -> None:
    edits = seen["edits"]
    fill_guarded(tmp_path)
    for name, code, kinds in (("edits", EDITS, KINDS), ("back", BACK, KINDS_BACK)):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
        expected = {path: known for path, known in facts(tmp_path).items() if known[0] != "'special'"}
        assert edits[name]["kinds"] == kinds
        assert edits[name]["left"] == ["pipe", "socket"]
        assert edits[name]["folder"] == expected
    for text in TEXTS:
        assert text in edits["edits"]["texts"]
    (tmp_path / "guarded").chmod(0o755)
    assert edits["sparse"]
    assert edits["undone"]
