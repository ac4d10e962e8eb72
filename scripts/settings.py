"""Write the table of settings into docs/reference/settings.md; --check only says if it is up to date."""

import re
import sys
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from llmasos.config import Settings

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"
MARKS = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def rows(fields: dict[str, FieldInfo], prefix: str) -> list[str]:
    """Return a line for each setting, those of a group with the group's name before."""
    lines = []
    for name, field in fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            lines += rows(kind.model_fields, f"{prefix}{name.upper()}__")
            continue
        default = "a folder of the user" if field.default_factory else f"`{field.default}`"
        shown = "" if field.default in ("", None) or kind is SecretStr else default
        lines.append(f"| `{prefix}{name.upper()}` | {shown} | {field.description} |")
    return lines


def main() -> int:
    """Write or check the table; the exit code is 1 when a check finds it out of date."""
    table = [
        "| variable | default | meaning |",
        "| --- | --- | --- |",
        *rows(Settings.model_fields, "LLMASOS_"),
    ]
    page = PAGE.read_text()
    wanted = MARKS.sub(lambda mark: f"{mark[1]}" + "\n".join(table) + f"\n{mark[2]}", page)
    if "--check" in sys.argv:
        return int(wanted != page)
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
