"""Artifacts are named by the host, by what they are."""

from __future__ import annotations

import pytest

from llmasos.sandbox._artifacts import name_artifacts


@pytest.mark.parametrize(
    ("said", "data", "name", "kind"),
    [
        ("figure", b"\x89PNG\r\n\x1a\nrest", "figure-1.png", "image/png"),
        ("photo.exe", b"\xff\xd8\xffrest", "photo-1.jpg", "image/jpeg"),
        ("a.txt", b"GIF89arest", "a-1.gif", "image/gif"),
        ("chart", b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "chart-1.svg", "image/svg+xml"),
        ("paper", b"%PDF-1.7", "paper-1.pdf", "application/pdf"),
        ("page.csv", b"\n<!DOCTYPE html><p>", "page-1.html", "text/html"),
        ("t.csv", b"a,b\n1,2\n", "t-1.csv", "text/plain"),
        ("t.sh", b"rm -rf /\n", "t-1.txt", "text/plain"),
        ("../../etc/passwd", b"\0\1", "passwd-1.bin", "application/octet-stream"),
        ("a\n\x1b[31m/.. ", b"x", "file-1.txt", "text/plain"),
        ("x" * 500, b"\xff", "x" * 40 + "-1.bin", "application/octet-stream"),
        ("", b"", "file-1.txt", "text/plain"),
    ],
)
def test_names_and_types_come_from_the_data(said: str, data: bytes, name: str, kind: str) -> None:
    (artifact,) = name_artifacts([(said, data)], 1)
    assert (artifact.name, artifact.media_type, artifact.data) == (name, kind, data)
