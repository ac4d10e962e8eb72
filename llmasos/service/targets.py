"""Targets of requests: whole addresses, as proxies are sent them, mean their paths."""

from __future__ import annotations

import re

from starlette.types import Scope

_ABSOLUTE = re.compile(r"https?://([^/]*)(/.*)?", re.IGNORECASE | re.DOTALL)


def by_path(scope: Scope) -> Scope:
    """Return a request by its path; the host in a whole address counts, and the header does not."""
    found = _ABSOLUTE.fullmatch(scope["path"])
    if found is None:
        return scope
    host, path = found[1], found[2] or "/"
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
    headers.insert(0, (b"host", host.encode("latin-1", "replace")))
    return {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogateescape"), "headers": headers}
