"""Programs that somebody else than root runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

USER = 1000
# Gives somebody else the interpreter's folders, when these lie below a home that only root can enter.
_SCRIPT = """
mount --make-rprivate /
for prefix in "$@"; do
    home=$(echo "$prefix" | cut -d/ -f1-2)
    if ! setpriv --reuid {user} --clear-groups test -x "$home"; then
        mkdir -p {base}/homes$home
        for entry in $(ls -A "$home"); do
            if [ -d "$home/$entry" ]; then
                mkdir -p {base}/homes$home/$entry && mount --rbind "$home/$entry" {base}/homes$home/$entry
            fi
        done
        mount --rbind {base}/homes$home "$home"
    fi
done
exec setpriv --reuid {user} --regid {user} --clear-groups env HOME={base} LLMASOS_CONFIG_DIR={base} {command}
"""


def as_user(command: Sequence[str], base: Path) -> list[str]:
    """Return what runs a command as somebody else than root, who is given a folder with all that is in it."""
    if os.getuid() != 0:
        return list(command)
    for path in (base, *base.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)
    prefixes = {str(Path(path).resolve()) for path in (sys.prefix, sys.base_prefix, *sys.path) if path}
    script = _SCRIPT.format(user=USER, base=base, command=" ".join(command))
    return ["unshare", "--mount", "bash", "-ec", script, "as-user", *sorted(prefixes)]
