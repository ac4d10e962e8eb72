"""Values that code puts together from pieces."""

from __future__ import annotations

import re

_SEAM = re.compile(r"""["'`]\s*(?:\+|\.|\|\||&|\\\r?\n)?\s*[rbuf]?["'`]""")
_LIST_SEAM = re.compile(r"""(["'])\s*,\s*\1""")
_QUOTING = re.compile(r"(?<=[\w./:@-])(?:[\"'\\`]|\$(?=[\"']))+(?=[\w./:@-])")
_ASSIGNED = re.compile(r"""(?<![\w.])(\w+)\s*\+?=\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s"'();&|=]+))""")
_USED = re.compile(
    r"\$\{?(\w+)\}?|\{(\w+)\}|(?<![\w.\"'])([A-Za-z_]\w*)(?=\s*[+,)\]])|(?<=[+,(\[])\s*([A-Za-z_]\w*)"
)
_ROUNDS = 3
_LONGEST_PIECE = 200
_MOST_PIECES = 1000


def spliced(code: str) -> str:
    """Return what lines of code say when their literals are put together and their variables filled in.

    Lines that stay as they are are left out.
    """
    forms = [code]
    values = {
        name: value
        for name, *forms in _ASSIGNED.findall(code)
        if len(value := next(filter(None, forms), "")) <= _LONGEST_PIECE
    }

    def fill(match: re.Match[str]) -> str:
        name = next(filter(None, match.groups()))
        if name not in values:
            return match[0]
        return values[name] if match[0][0] in "${" else f'"{values[name]}"'

    if values:
        filled = code
        for _ in range(_ROUNDS):
            if (more := _USED.sub(fill, filled, _MOST_PIECES)) == filled:
                break
            filled = more
        forms.append(filled)
    said = set(code.splitlines())
    new: dict[str, None] = {}
    for form in forms:
        whole = _SEAM.sub("", form)
        for text in (form, whole, _LIST_SEAM.sub("", whole), _QUOTING.sub("", form)):
            new.update(dict.fromkeys(line for line in text.splitlines() if line not in said))
    return "\n".join(new)
