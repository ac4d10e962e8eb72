"""Take docs/console.png: the console's page of a session in which a call waits for a person."""

import socket
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.integration.system.browsing import browsing, enter, visiting
from tests.integration.system.conftest import call, machine_in
from tests.integration.system.test_access import AGENT, program

PICTURE = Path(__file__).parents[1] / "docs" / "console.png"
REPORT = "# Sales\n\n| region | total |\n| --- | --- |\n| north | 1,204 |\n| south | 987 |\n"


def main() -> None:
    """Have a scripted model work, and take the picture while it waits."""
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        folder = base / "reports"
        folder.mkdir()
        (folder / "sales.csv").write_text("region,total\nnorth,1204\nsouth,987\n")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        with machine_in(base, folder) as machine, browsing() as browser:
            machine.env |= {"LLMASOS_SERVICE__CONSOLE": "true", "LLMASOS_SERVICE__PORT": str(port)}
            machine.endpoint.replies = [
                call("write_file", path="sales.md", content=REPORT),
                call("write_file", path=".git/hooks/pre-commit", content="#!/bin/sh\nmake report\n"),
                "Done.",
            ]
            agent = program(machine, port, *AGENT)
            session = agent.send("POST", "/v1/sessions", {"folder": str(folder)})[1]["id"]
            wanted = "Write sales.md from sales.csv, and have it made anew before every commit."
            agent.send("POST", f"/v1/sessions/{session}/turns", {"text": wanted})
            size = {"width": 1100, "height": 800}
            with visiting(browser, viewport=size, color_scheme="light", locale="en-GB") as page:
                enter(page, machine)
                page.goto(f"http://127.0.0.1:{port}/console/sessions/{session}")
                page.get_by_role("button", name="Allow", exact=True).wait_for()
                page.screenshot(path=PICTURE, full_page=True)


if __name__ == "__main__":
    main()
