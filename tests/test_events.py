import pytest

from llmasos.events import EVENT, ActionStarted, Usage, WorkspaceChanged, display


def test_events_survive_json() -> None:
    event = ActionStarted(
        session="s", turn="t", seq=3, action="a", tool="read_file", arguments={"path": "文"}
    )
    assert EVENT.validate_json(event.model_dump_json()) == event


def test_names_that_are_not_utf8_survive_json() -> None:
    for name in ("plain", "bad\udcff/name", "bytes:odd"):
        event = WorkspaceChanged(what="commit", paths=(name,))
        assert EVENT.validate_json(event.model_dump_json()) == event


def test_usage_adds_up() -> None:
    total = Usage(requests=1, input_tokens=10) + Usage(requests=2, output_tokens=5, cached_tokens=3)
    assert total == Usage(requests=3, input_tokens=10, output_tokens=5, cached_tokens=3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("中文，全角　空格 👩‍💻", "中文，全角　空格 👩‍💻"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("bad\udcffbyte", "bad\\xffbyte"),
    ],
)
def test_display_shows_what_is_hidden(text: str, shown: str) -> None:
    assert display(text) == shown


def test_display_can_keep_newlines() -> None:
    assert display("a\n\tb\r", keep_newlines=True) == "a\n\tb\\r"
