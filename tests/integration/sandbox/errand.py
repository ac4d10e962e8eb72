"""Code run in a jail by a program of its own, which prints what came of each piece.

Arguments: the folder that holds everything, the cache with the tree, MiB of memory, and a file with a list of
["run_python" or "run_command" or "start_job", code].
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

from llmasos.sandbox import choose_provider
from tests.integration.sandbox.places import Place


async def main(base: str, cache: str, memory: str, errands: str) -> None:
    place = Place(Path(base))
    settings = place.settings(memory_mb=int(memory)).model_copy(
        update={"sandbox": "bubblewrap", "sandbox_pool": 0, "cache_dir": Path(cache)}
    )
    provider = await choose_provider(settings)
    print(json.dumps(provider.reason), flush=True)
    sandbox = await provider.open(place.view(), session="errand")
    for how, code in json.loads(Path(errands).read_text()):
        if how == "start_job":
            job = await sandbox.start_job(code)
            # It prints nothing, so that this comes back when it has ended.
            ended = (await sandbox.job_output(job.id, wait=60)).job
            print(json.dumps([ended.running, ended.exit_code]))
            continue
        act = sandbox.run_python if how == "run_python" else sandbox.run_command
        done = await act(code, timeout=60)
        files = [[file.name, file.media_type, len(file.data)] for file in done.artifacts]
        print(json.dumps([done.status, done.output, done.result, files]))
    await sandbox.close()
    await provider.close()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4])
