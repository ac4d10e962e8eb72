"""The exported page, in a real browser."""

from __future__ import annotations

import html
import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from llmasos.ledger import check
from llmasos.ledger._digest import canonical
from llmasos.ledger._export import export_html, export_lines
from llmasos.ledger._proofs import NotProvable, prove
from tests.integration.ledger.test_proofs import altered, byte_mutations, with_node
from tests.ledger.chain_on_evm import EvmChain

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=document.title='owned'><!--"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmChain]:
    """Two sessions, one of them with a hostile name, leaves of a tree, and a record that is not mined."""
    chain = EvmChain(tmp_path_factory.mktemp("chain"))
    chain.append(chain.record(session=HOSTILE, action=HOSTILE, body={HOSTILE: [HOSTILE]}))
    chain.append(
        chain.record(kind="approval", session=HOSTILE), chain.record(kind="outcome", session=HOSTILE)
    )
    chain.anchor(*(chain.record(session="séance", route="tree", action="a2") for _ in range(5)))
    chain.record(session="waiting", action="a4")
    yield chain
    chain.close()


async def page(chain: EvmChain) -> str:
    return "".join(
        [part async for part in export_html(chain.store, chain.port, chain.contract, range(1, 10))]
    )


def data_of(text: str) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def with_data(text: str, data: Any) -> str:
    start, end = text.index('type="application/json">') + 24, text.index("</script>")
    return text[:start] + json.dumps(data).replace("<", "\\u003c") + text[end:]


class Shown:
    """A page after its scripts have run."""

    def __init__(self, text: str, folder: Path, fragment: str = "") -> None:
        program = (
            shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        )
        assert program, "this needs Chromium: apt-get install chromium"
        file = folder / "page.html"
        file.write_text(text, encoding="utf-8")
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{file.as_uri()}{fragment}",
        ]
        self.dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        assert 'data-done="true"' in self.dom

    def text(self, id: str) -> str:
        found = re.search(rf'id="{id}"[^>]*>(.*?)</(p|ol)>', self.dom, re.DOTALL)
        assert found is not None
        return html.unescape(re.sub("<[^>]*>", "", found[1]))

    @property
    def state(self) -> str:
        found = re.search(r'id="verdict" data-state="(\w+)"', self.dom)
        assert found is not None
        return found[1]

    def marks(self, state: str) -> int:
        return len(re.findall(f'<button type="button" data-state="{state}"', self.dom))


async def test_a_clean_page_is_proved_once_its_block_is_confirmed(chain: EvmChain, tmp_path: Path) -> None:
    text = await page(chain)
    block_hash = check.check(canonical(data_of(text)["document"]))["block_hash"]
    shown = Shown(text, tmp_path, f"#block={block_hash}")
    assert shown.text("total") == "All 8 records proved. 1 more record not on the chain yet."
    assert shown.state == "good" and (shown.marks("good"), shown.marks("waiting")) == (8, 1)
    shown = Shown(text, tmp_path)
    assert (
        shown.state == "open"
        and "not proved yet" in shown.text("total")
        and block_hash in shown.text("needs")
    )
    shown = Shown(text, tmp_path, "#block=0x" + "0" * 64)
    assert shown.state == "bad" and "Nothing is proved" in shown.text("total")


async def test_hostile_text_is_shown_as_text(chain: EvmChain, tmp_path: Path) -> None:
    text = await page(chain)
    assert text.lower().count("<script") == 2 and HOSTILE not in text
    shown = Shown(text, tmp_path)
    assert "<title>Ledger</title>" in shown.dom and shown.dom.lower().count("<script") == 2
    assert "<img" not in shown.dom and html.escape(HOSTILE, quote=False) in shown.dom
    assert "default-src 'none'" in text and not re.search(r"""(src|href)=["'](?!x)""", text)


async def test_the_page_says_which_records_fail(chain: EvmChain, tmp_path: Path) -> None:
    text = await page(chain)
    data = data_of(text)
    proofs = data["document"]["proofs"]
    proofs[1]["record"]["body"] = proofs[1]["record"]["body"].replace("2", "3")
    path = proofs[6]["tree"]["path"]
    proofs[6]["tree"]["path"] = ("B" if path[0] == "A" else "A") + path[1:]
    shown = Shown(with_data(text, data), tmp_path)
    assert shown.state == "bad" and shown.text("total").startswith("2 of 8 proofs failed.")
    assert "Record 2 of session </script>" in shown.text("failures")
    assert "the body is not what was recorded" in shown.text("failures")
    assert "Record 4 of session séance: the tree's root is another one" in shown.text("failures")
    assert (shown.marks("good"), shown.marks("bad")) == (6, 2)


async def test_filters_and_keys_work(chain: EvmChain, tmp_path: Path) -> None:
    script = """<script>
    const press = (key) =>
      document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    const choose = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("input")); };
    const seen = [];
    const note = () => seen.push(`${$("shown").textContent}|${document.activeElement.id}|`
      + ($("detail").querySelector("h2")?.textContent ?? ""));
    press("/"); note();
    choose("search", "SÉANCE"); press("ArrowDown"); note();
    press("j"); press("ArrowDown"); press("k"); note();
    choose("search", ""); choose("session", "waiting"); press("/"); press("ArrowDown"); note();
    choose("session", ""); choose("kind", "outcome"); note();
    $("about").textContent = JSON.stringify(seen);
    </script></body>"""
    shown = Shown((await page(chain)).replace("</body>", script), tmp_path)
    assert json.loads(shown.text("about")) == [
        "|search|",
        "5 records shown||intent · record 1",
        "5 records shown||intent · record 2",
        "1 record shown||intent · record 1",
        "1 record shown||intent · record 1",
    ]


async def test_the_page_refuses_what_the_command_refuses(chain: EvmChain, tmp_path: Path) -> None:
    """Hundreds of mutated proofs, checked by the page's own code in one visit."""
    rng, mutated = random.Random(5), []
    for numbers in ((1,), (2, 3), (6,)):
        document = await prove(chain.store, chain.port, chain.contract, numbers)
        fields = [
            altered(document, ("proofs", 0, "record", name), value)
            for name, value in document["proofs"][0]["record"].items()
            for value in ([value + 1] if isinstance(value, int) else [value + "A", value[:-1], value[::-1]])
        ]
        more = [altered(document, ("chain_id",), 1), altered(document, ("contract",), "0x" + "0" * 40)]
        more += [with_node(document, 0, b"")]
        mutated += [
            [document, changed]
            for changed in [*fields, *more, *rng.sample([*byte_mutations(document, rng)], 150)]
        ]
    script = """
    const outcome = (file) => {
      try {
        const opened = open(file);
        file.proofs.forEach((proof) => prove(opened, proof));
        return opened.newest && !opened.broken ? hex(opened.newest.hash) : "refused";
      } catch { return "refused"; }
    };
    const pairs = JSON.parse($("data").textContent);
    const results = pairs.map(([file, changed]) => [outcome(file), outcome(changed)]);
    $("total").textContent = JSON.stringify(results);
    document.documentElement.dataset.done = "true";
    """
    code = files("llmasos.ledger").joinpath("explorer/check.js").read_text(encoding="utf-8")
    data = json.dumps(mutated).replace("<", "\\u003c")
    text = f"""<!doctype html><meta charset=utf-8><p id="total"></p>
    <script id="data" type="application/json">{data}</script>
    <script>{code}const $ = (id) => document.getElementById(id);{script}</script>"""
    results = json.loads(Shown(text, tmp_path).text("total"))
    assert len(results) == len(mutated) > 450
    for (good, bad), (document, changed) in zip(results, mutated, strict=True):
        assert "0x" + good == check.check(canonical(document))["block_hash"]
        assert bad != good, f"accepted: {changed}"


async def test_lines_are_proof_files_of_their_own(chain: EvmChain) -> None:
    lines = [line async for line in export_lines(chain.store, chain.port, chain.contract, range(1, 10))]
    assert len(lines) == 9 and all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    for number, line in enumerate(lines[:8], 1):
        assert check.check(line.encode())["records"][0]["record"]["number"] == number
    assert json.loads(lines[8])["record"]["number"] == 9


async def test_a_page_without_a_mined_record_and_one_of_an_unknown_record(
    chain: EvmChain, tmp_path: Path
) -> None:
    text = "".join([part async for part in export_html(chain.store, chain.port, chain.contract, [9])])
    shown = Shown(text, tmp_path)
    assert shown.text("total") == "There is nothing to prove. 1 more record not on the chain yet."
    with pytest.raises(NotProvable, match="no record 99"):
        _ = [part async for part in export_html(chain.store, chain.port, chain.contract, [99])]
