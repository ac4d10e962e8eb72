"""`python -m scripts.reference` writes docs/reference from the code; --check names what is out of date."""

import sys
from pathlib import Path

from scripts.reference import commands, http, python, settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


def main() -> int:
    """Write or check the pages; the exit code is 1 when a check finds some out of date."""
    made = {**commands.pages(), **settings.pages(), **http.pages(), **python.pages()}
    files = {FOLDER / name: text for name, text in made.items()}
    stale = [file for file, text in files.items() if not file.exists() or file.read_text() != text]
    if "--check" in sys.argv:
        for file in stale:
            print(f"docs/reference/{file.name} is not what the code says; write it with `make reference`.")
        return int(bool(stale))
    for file in stale:
        file.write_text(files[file])
    return 0


if __name__ == "__main__":
    sys.exit(main())
