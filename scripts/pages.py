"""A hook of MkDocs: what GitHub and Python-Markdown read differently."""

import re
from typing import Any

_CELL_CODE = re.compile(r"<code>[^<]*</code>(?=(?:(?!<t[dh]|</t[dh]>).)*</t[dh]>)", re.DOTALL)


def on_page_content(html: str, **_: Any) -> str:
    r"""Show `\|` in the code of a table's cell as the pipe that GitHub takes it for."""
    return _CELL_CODE.sub(lambda code: code[0].replace("\\|", "|"), html)
