import builtins
import contextlib
import os
import sys
from types import ModuleType

os.environ["RESIDUE"] = "left"
setattr(builtins, "max", min)  # noqa: B010
sys.modules["json"] = ModuleType("json")
for folder in ("/tmp", os.environ["HOME"], os.environ["TMPDIR"], "/dev/shm", "/run", "."):
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        os.close(os.open(f"{folder}/residue", os.O_CREAT | os.O_WRONLY))
