"""The page of an analysis, in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from llmasos.tools.analysis.page import page_of

pytestmark = pytest.mark.integration

POINTS = [["north", 10.5], ["<b>south</b>", 5]]
CHART = {"kind": "bar", "title": "t", "x": "region", "y": "total", "points": POINTS}
RESULT = {"columns": [["region", "VARCHAR"], ["total", "DOUBLE"]], "rows": POINTS, "chart": CHART}
# Points at a bar and sorts the table, as a person would.
ACTS = """<script>
  document.querySelector("rect").dispatchEvent(new Event("mouseenter"));
  document.querySelectorAll("th button")[1].click();
</script></html>"""


@pytest.mark.parametrize("kind", ["bar", "line", "scatter"])
def test_a_chart_can_be_pointed_at_and_a_table_sorted(tmp_path: Path, kind: str) -> None:
    points = POINTS if kind == "bar" else [[1, 10.5], [2, 5]]
    page = page_of(
        "Which?", "North.", {**RESULT, "chart": {**CHART, "kind": kind, "points": points}}, "SELECT 1", "All."
    )
    acts = ACTS if kind == "bar" else ACTS.replace("rect", "circle")
    file = tmp_path / "page.html"
    file.write_text(page.replace("</html>", acts))
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "this needs Chromium: apt-get install chromium"
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
    ]
    done = subprocess.run([program, *options, file.as_uri()], capture_output=True, text=True, timeout=120)
    dom = done.stdout
    assert "total 10.5" in dom.split("<output")[1].split("</output>")[0]
    assert dom.count('class="mark"') == 2
    body = dom.split("<tbody>")[1].split("</tbody>")[0]
    assert body.index("5<") < body.index("10.5<"), "sorted by the second column"
    assert "<b>south</b>" not in dom.split("<script")[0]
