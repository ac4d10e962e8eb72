"""The environment of what is started to work here: without secrets, and with this package where it is."""

from __future__ import annotations

import os
from pathlib import Path

from llmasos.secrets import forget_secrets


def own_environment(kept: tuple[str, ...] = ()) -> dict[str, str]:
    """Return this process's environment without secrets, in which this package is found as it was here.

    Args:
        kept: How variables begin that stay, secret or not.
    """
    variables = dict(os.environ)
    forget_secrets(variables, kept)
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))
    return {**variables, "PYTHONPATH": path}
