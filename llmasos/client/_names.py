"""Names as the kernel takes them: of models, which it reads in a folder of its own, and in paths."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from llmasos.client._errors import no_text
from llmasos.errors import InvalidValueError


def model_name(name: str) -> str:
    """Return a model's name with a path made absolute; names of the catalog and of hubs stay as they are."""
    path = Path(name).expanduser()
    if name.startswith(("./", "../", "~")) or (("/" in name or name.endswith(".gguf")) and path.exists()):
        return str(path.absolute())
    return name


def path_part(name: str) -> str:
    """Return a name as one part of a request's path.

    Raises:
        InvalidValueError: It would lead elsewhere, or is no UTF-8.
    """
    if name in ("", ".", ".."):
        raise InvalidValueError(f"{name!r} is no name.", hint="Say which one is meant.")
    try:
        return quote(name, safe="")
    except UnicodeEncodeError as error:
        raise no_text() from error
