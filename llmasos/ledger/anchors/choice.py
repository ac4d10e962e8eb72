"""Which places outside the settings name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from llmasos.config import LedgerSettings
from llmasos.errors import ConfigError
from llmasos.ledger.anchors.file import FileAnchor
from llmasos.ledger.anchors.git import BRANCH, GitAnchor
from llmasos.ledger.anchors.port import Anchor
from llmasos.ledger.chains.port import Chain

_FORMS = "`file:PATH`, `git:PATH[#BRANCH]`, `rfc3161:URL[#ROOTS]` or `evm:ID@URL[#BLOCK]`"

OpenChain = Callable[[str, int], Chain]
"""Makes the chain at a URL with an id, on which the anchor account signs; it connects when it is told to."""


def open_anchors(settings: LedgerSettings, open_chain: OpenChain) -> list[Anchor]:
    """Return the places that the settings name; none is reached yet.

    Args:
        open_chain: Makes the chain of an `evm` target.

    Raises:
        ConfigError: A target is of an unknown kind, has a bad value, or is named twice.
    """
    makers = {"file": _file, "git": _git, "rfc3161": _timestamp}
    anchors: list[Anchor] = []
    for text in settings.anchors:
        kind, colon, place = text.strip().partition(":")
        if not colon or kind not in {*makers, "evm"}:
            raise _wrong(kind, "its kind is unknown")
        anchor = _evm(place, open_chain) if kind == "evm" else makers[kind](place)
        if anchor.target in {other.target for other in anchors}:
            raise _wrong(anchor.target, "it is named twice")
        anchors.append(anchor)
    return anchors


def _file(place: str) -> Anchor:
    return FileAnchor(_path("file", place))


def _git(place: str) -> Anchor:
    path, mark, branch = place.partition("#")
    if mark and not _is_branch(branch):
        raise _wrong(f"git:{place}", f"{branch!r} is no name of a branch")
    return GitAnchor(_path("git", path), branch or BRANCH)


def _timestamp(place: str) -> Anchor:
    from llmasos.ledger.anchors.timestamp import TimestampAnchor

    url, _, roots = place.partition("#")
    shown = f"rfc3161:{_server('rfc3161:', url)}"
    if urlsplit(url).username is not None:
        raise _wrong(shown, "a password does not belong in a URL, which is stored and shown")
    return TimestampAnchor(url, _path("rfc3161", roots) if roots else None)


def _evm(place: str, open_chain: OpenChain) -> Anchor:
    from llmasos.ledger.anchors.evm import EvmAnchor

    ident, _, rest = place.partition("@")
    if not re.fullmatch("[1-9][0-9]{0,17}", ident):
        raise _wrong("evm:", "before the URL it needs the chain's id and an @")
    url, _, first = rest.partition("#")
    # Its URL may hold a provider's key, in its path or elsewhere; what is stored and shown does without.
    target = f"evm:{ident}@{_server(f'evm:{ident}@', url)}"
    if not re.fullmatch("[0-9]{0,18}", first):
        raise _wrong(target, "behind the # it needs the number of a block")
    return EvmAnchor(target, open_chain(url, int(ident)), int(first or 0))


def _path(kind: str, text: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise _wrong(f"{kind}:{text}", "the home folder is not known") from error
    if not path.is_absolute() or "\0" in text:
        # Where the kernel happens to be started differs from start to start.
        raise _wrong(f"{kind}:{text}", "its path must begin with / or ~")
    return path


def _server(before: str, url: str) -> str:
    """Return scheme, host and port of a URL."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong(before, "its URL is not http:// or https:// with a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def _is_branch(name: str) -> bool:
    """Return whether git takes a branch's name, by its rules as far as they matter here."""
    wrong = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(/|$)|(^|/)\.|^[-/]|[/.]$|^@$", name)
    return bool(name) and wrong is None


def _wrong(shown: str, reason: str) -> ConfigError:
    return ConfigError(
        f"The anchor {shown!r} in ledger.anchors cannot be used: {reason}.",
        hint=f"Write {_FORMS}.",
    )
