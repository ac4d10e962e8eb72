"""Events as lines: what is shown, what is cut, and that foreign text stays text."""

from io import StringIO

import pytest
from rich.console import Console

from llmasos.api import Diff
from llmasos.events import (
    ActionFinished,
    ActionOutput,
    ActionStarted,
    ArtifactKept,
    AssistantText,
    Event,
    FileChange,
    Notice,
    Progress,
    TextDelta,
    TurnFinished,
    Usage,
    display,
)
from llmasos.shell.diffs import show_diff
from llmasos.shell.folds import Folds
from llmasos.shell.render import Renderer, make_console, usage_line
from llmasos.shell.words import count, fit


def console(*, terminal: bool = False) -> tuple[Console, StringIO]:
    file = StringIO()
    return Console(
        file=file,
        width=40,
        highlight=False,
        soft_wrap=True,
        force_terminal=terminal or None,
        color_system=None,
    ), file


def shown(*events: Event) -> list[str]:
    screen, file = console()
    renderer = Renderer(screen)
    for event in events:
        renderer.show(event)
    return file.getvalue().splitlines()


def finished(**facts: object) -> ActionFinished:
    return ActionFinished.model_validate({"action": "a-1", "tool": "run_shell", "status": "ok", **facts})


def test_streamed_text_keeps_its_lines() -> None:
    pieces = [TextDelta(text=piece) for piece in ("One\nt", "wo\n", "\nthree [bold]:smile:[/]")]
    assert shown(*pieces, AssistantText(text="")) == ["One", "two", "", "three [bold]:smile:[/]"]


def test_text_whose_beginning_was_missed_is_shown_whole() -> None:
    assert shown(TextDelta(text="."), AssistantText(text="Heard.")) == [".", "Heard."]
    assert shown(AssistantText(text="Heard.\n")) == ["Heard."]
    assert shown(TextDelta(text="Heard.\n"), AssistantText(text="Heard.")) == ["Heard.", ""]


def test_who_joins_late_sees_a_text_when_it_is_whole() -> None:
    screen, file = console()
    renderer = Renderer(screen, joined=True)
    for event in (
        AssistantText(text="Earlier."),
        TextDelta(text="le of it."),
        AssistantText(text="The middle of it."),
        TextDelta(text="And on."),
        AssistantText(text="And on."),
    ):
        renderer.show(event)
    assert file.getvalue().splitlines() == ["Earlier.", "The middle of it.", "And on."]


def test_a_line_wider_than_the_screen_is_left_to_the_terminal() -> None:
    assert shown(TextDelta(text="x" * 100), AssistantText(text="")) == ["x" * 100]
    assert shown(ActionOutput(action="a-1", text="y" * 100 + "\n")) == ["│ " + "y" * 100]


def test_an_action_begins_on_a_line_of_its_own() -> None:
    started = ActionStarted(action="a-1", tool="run_shell", arguments={"command": "ls"})
    assert shown(TextDelta(text="I look."), started) == ["I look.", '● run_shell(command="ls")']


def test_output_that_comes_in_pieces_is_joined_and_cut() -> None:
    output = [ActionOutput(action="a-1", text=text) for text in ("be", "gun\nne", "xt\n")]
    assert shown(*output) == ["│ begun", "│ next"]
    many = ActionOutput(action="a-1", text="".join(f"{n}\n" for n in range(20)))
    lines = shown(many, finished(seconds=1.25, backend="docker"))
    assert lines[9:11] == ["│ 9", "│ … 5 more lines"]
    assert lines[11:] == [*(f"│ {n}" for n in range(15, 20)), "✓ run_shell · 1.2 s · docker · a-1"]


def test_a_line_without_end_is_cut_and_can_be_opened() -> None:
    screen, file = console()
    folds = Folds()
    renderer = Renderer(screen, folds=folds)
    renderer.show(ActionOutput(action="a-1", text=f"{'x' * 30_000}\nshort\n"))
    renderer.show(finished())
    lines = file.getvalue().splitlines()
    assert lines[0] == f"│ {'x' * 500}" and lines[1:4] == [
        "│ … 29,500 more characters",
        "│ short",
        "│ Long lines are shown in part · /open 1",
    ]
    fold = folds.get(1)
    assert fold is not None and fold.text == f"{'x' * 30_000}\nshort"


def test_a_failure_shows_the_end_of_its_result() -> None:
    lines = shown(finished(status="failed", result="1\n2\n3\n\n4\n5\n"))
    assert lines == ["✗ run_shell · a-1", "  2", "  3", "  4", "  5"]


def test_a_cancelled_action_leaves_the_word_to_the_turn() -> None:
    end = TurnFinished(status="cancelled", error="Cancelled.", usage=Usage(seconds=1))
    lines = shown(finished(status="cancelled", result="Cancelled."), end)
    assert lines == ["■ run_shell · a-1", "Cancelled.", "after 1.0 s"]


def test_a_long_text_argument_is_shown_as_a_block() -> None:
    content = "".join(f"line {n}\n" for n in range(17))
    lines = shown(ActionStarted(action="a", tool="write_file", arguments={"path": "f", "content": content}))
    assert lines[:2] == ['● write_file(path="f")', "  line 0"] and lines[-1] == "… 2 more lines"


def test_what_a_call_leaves_as_it_is_is_not_shown() -> None:
    screen, file = console()
    renderer = Renderer(screen, defaults={"read_file": {"offset": 0, "limit": 100}})
    arguments = {"path": "a", "offset": 0, "limit": 5}
    renderer.show(ActionStarted(action="a", tool="read_file", arguments=arguments))
    assert file.getvalue() == '● read_file(path="a", limit=5)\n'


def test_what_a_call_leaves_empty_is_not_shown() -> None:
    arguments: dict[str, object] = {
        "question": "When?",
        "path": None,
        "said": "",
        "points": [],
        "attempts": 0,
        "check": False,
    }
    (line,) = shown(ActionStarted(action="a", tool="ask", arguments=arguments))
    assert line == '● ask(question="When?", attempts=0, check=False)'


@pytest.mark.parametrize(
    "evil", ["\x1b[31m", "[/]", "[bold]", "\\", "a\\\\", ":warning:", "\u202e", "\r", "a\u2028-b"]
)
def test_foreign_text_is_neither_markup_nor_escape(evil: str) -> None:
    safe = display(evil)
    diff = Diff(changes=(FileChange(path=evil, kind="added", detail=evil, diff=f"+{evil}"),))
    screen, file = console()
    show_diff(screen, diff)
    assert file.getvalue().splitlines() == [f"added   {safe}  {safe}", f"+{safe}"]
    assert shown(finished(tool=evil, status="invalid", result=f"No tool {evil}.")) == [
        f"✗ {safe} · a-1",
        f"  No tool {safe}.",
    ]
    assert shown(ActionStarted(action="a-1", tool=evil, arguments={evil: evil})) == [
        f'● {safe}({safe}="{safe}")'
    ]
    assert shown(Notice(text=evil)) == [safe]
    assert shown(ActionOutput(action="a-1", text=f"{evil}\n")) == [f"│ {safe}"]


def test_progress_stays_on_one_line_and_goes() -> None:
    screen, file = console(terminal=True)
    renderer = Renderer(screen)
    renderer.show(Progress(what="Fetching a model with a very long name", done=5e6, total=1e7, unit="bytes"))
    assert file.getvalue() == "\r\x1b[2KFetching a model with a very long name…"
    renderer.show(Notice(text="Ready."))
    assert file.getvalue().endswith("\r\x1b[2KReady.\n")


def test_a_pipe_gets_no_progress() -> None:
    assert shown(Progress(what="Fetching", done=1, total=2)) == []


def test_a_long_diff_is_cut() -> None:
    screen, file = console()
    change = FileChange(path="f", kind="changed", diff="".join(f"+{n}\n" for n in range(9)))
    show_diff(screen, Diff(changes=(change,), omitted=2), most_lines=3)
    assert file.getvalue().splitlines() == [
        "changed f",
        "… and 2 more changes",
        "+0",
        "+1",
        "+2",
        "… 6 more lines; /diff shows them all",
    ]


def test_what_git_writes_with_a_commit_is_listed_and_not_read_out() -> None:
    def change(path: str, runs: str = "") -> FileChange:
        return FileChange(
            path=path, kind="changed", diff=f"--- a/{path}\n+++ b/{path}\n+{path}!\n", runs=runs
        )

    own = (change(".git/logs/HEAD"), change("sub/.git/refs/heads/a"), change(".git/COMMIT_EDITMSG"))
    others = (change(".git/config"), change(".git/refs/x", runs="git"), change("my.git/logs/a"))
    screen, file = console()
    show_diff(screen, Diff(changes=(*own, *others)))
    shown = file.getvalue()
    assert "changed .git/logs/HEAD\n" in shown and "HEAD!" not in shown and "EDITMSG!" not in shown
    assert ".git/config!" in shown and ".git/refs/x!" in shown and "my.git/logs/a!" in shown
    assert "… 9 more lines; /diff shows them all" in shown
    show_diff(screen, Diff(changes=own), whole=True)
    assert "HEAD!" in file.getvalue()


def test_a_diff_numbers_its_hunks_and_names_where_a_file_was() -> None:
    screen, file = console()
    change = FileChange(
        path="new\n",
        kind="renamed",
        source="old",
        detail="similar",
        diff="@@ -1 +1 @@\n-a\n+b\n@@ -9 +9 @@\n+@@\n",
    )
    show_diff(screen, Diff(changes=(change,), omitted=1234, summary="src: 1,234 changed"))
    assert file.getvalue().splitlines() == [
        "renamed old → new\\n  similar",
        "… and 1,234 more changes",
        "src: 1,234 changed",
        "@@ -1 +1 @@  #1",
        "-a",
        "+b",
        "@@ -9 +9 @@  #2",
        "+@@",
    ]


def test_what_was_handed_out_is_shown_with_its_place() -> None:
    kept = ArtifactKept(
        action="a", name="figure-1.png", media_type="image/png", size=12_034, path="/x/figure-1.png"
    )
    assert shown(kept) == ["▣ figure-1.png · 12,034 bytes · /x/figure-1.png"]


@pytest.mark.parametrize("no_colour", [False, True])
def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch, no_colour: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    screen = make_console()
    screen.file = file = StringIO()
    show_diff(screen, Diff(changes=(FileChange(path="f", kind="added", diff="+one\n"),)))
    assert ("\x1b[32m" in file.getvalue()) is not no_colour


def test_words() -> None:
    assert usage_line(Usage(seconds=1.5, input_tokens=1200, cached_tokens=1000, output_tokens=3)) == (
        "1.5 s · 1,200 tokens in (1,000 cached), 3 out"
    )
    assert fit("今天天气很好", 12) == "今天天气很好"
    assert fit("今天天气很好", 11) == "今天天气很…"
    assert fit("今天天气很好", 10) == "今天天气…"
    assert count(1, "file") == "1 file" and count(2, "file") == "2 files"
