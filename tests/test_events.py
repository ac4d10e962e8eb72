from llmasos.events import EVENT, ActionStarted, Usage, WorkspaceChanged


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
