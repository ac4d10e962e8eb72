"""The forms in which a known secret may be written: plain, escaped, encoded."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

_SHORTEST = 8


def forms_of(secret: str) -> frozenset[str]:
    """Return a secret as texts may hold it: as it is, and as JSON, links, shells, base64 and hex write it."""
    plain = json.dumps(secret)[1:-1]
    raw = secret.encode("utf-8", "surrogateescape")
    links = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    written = {
        secret,
        # As names of hosts are compared.
        secret.lower(),
        plain,
        json.dumps(plain)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        secret.replace("'", "'\\''"),
        html.escape(secret),
        html.escape(secret, quote=False),
        *links,
        *(link.lower() for link in links if "%" in link),
        raw.hex(),
        raw.hex().upper(),
        raw.hex(":"),
        *certain_base64(raw),
    }
    return frozenset(form for form in written if len(form) >= _SHORTEST)


def certain_base64(raw: bytes) -> set[str]:
    """Return what base64 makes of bytes wherever they stand in others, without the uncertain ends."""
    found = set()
    for before, uncertain in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(bytes(before) + raw).decode()
        certain = encoded.rstrip("=")
        if len(certain) < len(encoded):
            certain = certain[:-1]
        certain = certain[uncertain:]
        found |= {certain, certain.replace("+", "-").replace("/", "_")}
    return found
