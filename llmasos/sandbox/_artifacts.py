"""Naming what cells hand out: by what the data is, not by what the cell said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from llmasos.sandbox.port import Artifact

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/svg+xml": ".svg",
    "application/pdf": ".pdf",
    "text/html": ".html",
}
_TEXT_ENDINGS = {".csv", ".json", ".log", ".md", ".py", ".tsv", ".txt", ".xml", ".yaml"}
_LOOKED_AT = 1024


def media_type(data: bytes) -> str:
    """Return what data is, by its first bytes."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if b"\0" in data:
        return "application/octet-stream"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    start = data[:_LOOKED_AT].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    if start.startswith(b"<svg") or (start.startswith((b"<?xml", b"<!doctype svg")) and b"<svg" in start):
        return "image/svg+xml"
    return "text/plain"


def name_artifacts(found: Iterable[tuple[str, bytes]], first: int) -> tuple[Artifact, ...]:
    """Give each artifact a name that is safe anywhere.

    Args:
        found: What the cell said, and the data.
        first: The first one's number.
    """
    named = []
    for number, (said, data) in enumerate(found, first):
        kind = media_type(data)
        path = PurePosixPath(said)
        stem = re.sub(r"[^A-Za-z0-9]+", "-", path.stem)[:40].strip("-").lower() or "file"
        ending = path.suffix.lower()
        if kind != "text/plain" or ending not in _TEXT_ENDINGS:
            ending = _ENDINGS.get(kind, ".txt" if kind == "text/plain" else ".bin")
        named.append(Artifact(name=f"{stem}-{number}{ending}", media_type=kind, data=data))
    return tuple(named)
