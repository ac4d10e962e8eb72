"""A model's page."""

from pathlib import Path

import pytest

from llmasos.api.models import ModelDetails
from llmasos.audits import make_report, write_card
from llmasos.errors import LLMasOSError
from tests.audits.test_comparison import audited, side

REPORT = make_report(
    audited(3, lambda pair, at, random: side(succeeded=1, words=random.random())),
    model="m",
    digest="",
    system="0.1",
    seed=4,
    asked=3,
    planned=30,
)


def test_a_page_says_what_the_model_is_how_it_treats_people_and_how_to_repeat_it(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.md").write_text(
        "## Speed\n\nx\n\n## Whole requests on the embedded model\n\n| right |\n| 5 of 10 |\n\n## More\n\ny\n"
    )
    details = ModelDetails(
        name="qwen",
        title="Qwen",
        default=True,
        family="qwen2.5",
        licence="Apache-2.0",
        parameters=1_500_000_000,
        sha256="ab" * 32,
        path="/home/ada/models/qwen.gguf",
    )
    path = write_card(tmp_path / "models", details, REPORT)
    text = path.read_text()
    assert path.name == "qwen.md"
    for said in (
        "1.50 billion",
        "Apache-2.0",
        "ab" * 32,
        "Chinese",
        "5 of 10",
        "](../benchmarks.md)",
        "difference (95 % CI)",
        "No difference was found that 3 pairs of each kind could show",
        "**age: left 24 to 33 years",
        "--model qwen --pairs 3 --seed 4\n",
    ):
        assert said in text, said
    assert "/home/ada" not in text and "Speed" not in text and "## More" not in text


def test_foreign_text_cannot_write_the_page(tmp_path: Path) -> None:
    title = "x](http://evil) | <script>\n# Safe `\x1b[2J"
    text = write_card(tmp_path, ModelDetails(name="/home/ada/../a b.gguf", title=title), REPORT).read_text()
    assert "\x1b" not in text and "/home" not in text and "\n# Safe" not in text and "\\<script" in text
    assert [file.name for file in tmp_path.iterdir()] == ["a-b.gguf.md"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LLMasOSError, match="cannot be written"):
        write_card(tmp_path / "file", ModelDetails(name="m"), REPORT)
