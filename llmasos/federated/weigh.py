"""The program that says which model a file holds: `python -m llmasos.federated.weigh FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from llmasos.federated.weights import load_weights, weights_sha256


def main(file: str) -> int:
    """Write the SHA-256 of a model as the rounds of its training have it."""
    try:
        sys.stdout.write(weights_sha256(load_weights(Path(file))) + "\n")
    except (OSError, ValueError) as error:
        sys.stdout.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
