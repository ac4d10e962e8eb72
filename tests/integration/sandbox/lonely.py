"""A kernel in miniature for the tests, started as a program of its own: it opens a sandbox and says so.

Arguments: the backend, the folder that holds everything, the kind of view, and `stay` or `go`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import anyio

from llmasos.sandbox import choose_provider
from llmasos.sandbox.port import ViewKind
from tests.integration.sandbox.places import Place


async def main(backend: str, base: str, kind: ViewKind, stay: bool) -> None:
    place = Place(Path(base))
    settings = place.settings().model_copy(update={"sandbox": backend})
    provider = await choose_provider(settings)
    if not stay:
        await provider.warm()
    for _ in range(2):
        sandbox = await provider.open(place.view(kind), session="lonely")
        done = await sandbox.run_command("cat a.txt; id -u; echo x > new; (setsid sleep 1000 &)", timeout=10)
        await sandbox.run_python("import subprocess; subprocess.Popen(['sleep', '1000'])", timeout=10)
        print(done.status, *done.output.split(), flush=True)
        if stay:
            await anyio.sleep_forever()
        await sandbox.close()
    await provider.close()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], cast(ViewKind, sys.argv[3]), sys.argv[4] == "stay")
