"""Where a request says that something is to be saved."""

from __future__ import annotations

import re

NAME = r"[“\"'`]?([\w./-]{1,120}\.[a-z][a-z0-9]{0,4})\b[”\"'`]?"
"""A file's name in a request, as a pattern."""
# At the end of a request: what a text is about may speak of saving, too.
_SAVED = re.compile(
    r"(?:(?:[,;.]|(?<=[?!]))\s{0,3}(?:and\s|then\s)*|\s(?:and|then)\s(?:then\s)?|\n|\A)"
    r"(?:(?:save|store)\s(?:(?:it|this|them|the\s(?:\w{1,20}\s){0,2}\w{1,20})\s)?|put\s(?:it|this|them)\s)"
    rf"(?:as|to|in|into)\s{NAME}(?:,?\splease)?\.?\s{{0,9}}\Z"
    r"|(?:(?:[，,、；;。]|(?<=[？！?!]))\s{0,3}|\n|并|再|然后|\A)(?:并|再|然后)?(?:保存|存储|存|写)(?:为|成|到|在|入)\s{0,3}"
    rf"{NAME}[。.]?\s{{0,9}}\Z",
    re.IGNORECASE,
)


def saved_as(request: str) -> tuple[str, str | None]:
    """Return a request without the file that it is to be saved as, and that file."""
    found = _SAVED.search(request)
    if not found:
        return request, None
    return request[: found.start()].strip() or request, found[1] or found[2]
