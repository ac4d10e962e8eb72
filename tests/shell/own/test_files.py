"""Which commands of one's own there are, and what their files say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmasos.shell.own import CommandError, OwnCommand, Place, find, named, new_file, read


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LLMASOS_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config" / "commands"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".llmasos" / "commands").mkdir(parents=True)
    return folder


def write(folder: Path, name: str, text: str | bytes = "Say hello.") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def of(project: Path, text: str | bytes) -> OwnCommand:
    return read(Place("x", write(project / ".llmasos" / "commands", "x.md", text), "project"))


def test_the_projects_command_goes_before_the_users_of_the_same_name(project: Path, config: Path) -> None:
    commands = project / ".llmasos" / "commands"
    for folder in (commands, config):
        write(folder, "review.md")
    write(config, "git/message.md")
    write(commands, "翻译.md")
    write(commands, "notes.txt")
    write(commands, ".hidden.md")
    found = find(project)
    assert {name: place.source for name, place in found.places.items()} == {
        "git:message": "user",
        "review": "project",
        "翻译": "project",
    }
    assert [place.file for place in found.hidden] == [config / "review.md"]
    assert not found.problems


def test_where_there_is_nothing_there_are_no_commands(tmp_path: Path) -> None:
    assert find(tmp_path / "nowhere").places == {}


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("commit.md", "/commit is part of the shell"),
        ("quit.md", "/quit is part of the shell"),
        ("two words.md", "is no name"),
        ("-c.md", "is no name"),
        ("a\x1b[31m.md", "is no name"),
        ("a\u202eb.md", "is no name"),
        ("p\u0430ypal.md", "only look like others"),
        ("a/b:c.md", "is no name"),
        (".md.md", ""),
    ],
)
def test_names_that_cannot_be_typed_or_are_taken_are_told_with_their_file(
    project: Path, file: str, said: str
) -> None:
    write(project / ".llmasos" / "commands", "good.md")
    write(project / ".llmasos" / "commands", file)
    found = find(project)
    assert list(found.places) == ["good"]
    messages = [problem.message for problem in found.problems]
    assert len(messages) == bool(said)
    for message in messages:
        assert said in message and str(project) in message and message.isprintable()


def test_a_name_that_is_not_utf8_is_told(project: Path) -> None:
    commands = os.fsencode(project / ".llmasos" / "commands")
    with open(commands + b"/\xff.md", "w") as file:
        file.write("Say hello.")
    [problem] = find(project).problems
    assert "\\xff" in problem.message


def test_links_lead_nowhere_else_in_a_project(project: Path, tmp_path: Path, config: Path) -> None:
    commands = project / ".llmasos" / "commands"
    secret = write(tmp_path, "id_rsa", "PRIVATE KEY")
    (commands / "key.md").symlink_to(secret)
    (commands / "folder").symlink_to(tmp_path)
    write(commands, "good.md")
    (commands / "same.md").symlink_to("good.md")
    found = find(project)
    assert list(found.places) == ["good", "same"]
    [problem] = found.problems
    assert "key.md is a link" in problem.message
    with pytest.raises(CommandError, match=r"key\.md is a link"):
        named("/key", found)
    # What somebody keeps elsewhere for themselves is theirs.
    config.mkdir(parents=True)
    (config / "mine.md").symlink_to(secret)
    assert read(find(project).places["mine"]).body == "PRIVATE KEY"


def test_a_folder_of_commands_that_leads_out_of_the_project_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "x.md")
    (tmp_path / "project" / ".llmasos").mkdir(parents=True)
    (tmp_path / "project" / ".llmasos" / "commands").symlink_to(tmp_path / "elsewhere")
    found = find(tmp_path / "project")
    assert not found.places and "leads out of the project" in found.problems[0].message
    with pytest.raises(CommandError, match="leads out of the project"):
        new_file("y", "project", tmp_path / "project")


def test_a_folder_full_of_files_is_cut(project: Path) -> None:
    for number in range(501):
        write(project / ".llmasos" / "commands", f"c{number}.md")
    found = find(project)
    assert len(found.places) == 500 and "more than 500" in found.problems[0].message


def test_only_a_command_that_exists_is_taken_for_one(project: Path) -> None:
    write(project / ".llmasos" / "commands", "git/review.md")
    found = find(project)
    taken = named("/git:review  the main\nbranch ", found)
    assert taken is not None
    assert taken[0].name == "git:review" and taken[1] == "the main\nbranch"
    for text in ("/nothing at all", "/usr/bin/env fails", "/", "/ git:review", "git:review", "//git:review"):
        assert named(text, found) is None


def test_a_file_says_what_it_is_for(project: Path) -> None:
    command = of(
        project,
        '\ufeff---\r\n# of ours\r\ndescription: "Look at \\"it\\""\r\nargument-hint: [issue #] <file>\r\n'
        "model: 'it''s'\r\ndry-run: true\r\n\r\nmax-steps: 7\r\ntimeout: 1.5\r\n---\r\n\r\nDo it:\r\n---\r\n",
    )
    assert command.description == 'Look at "it"' and command.argument_hint == "[issue #] <file>"
    assert (command.model, command.dry_run, command.max_steps, command.timeout) == ("it's", True, 7, 1.5)
    assert command.body == "Do it:\n---" and command.usage == "/x [issue #] <file>"


def test_front_matter_may_be_missing(project: Path) -> None:
    assert of(project, "Say hello.\n--- \n").body == "Say hello.\n---"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\ndescription: x\n", "has no end"),
        ("---\ndescription: x\nhosts: example.org\n---\ny", "the key hosts is not known"),
        ("---\n\tdescription: x\n---\ny", "line 2 is not"),
        ("---\ndescription:x\n---\ny", "line 2 is not"),
        ("---\n- x\n---\ny", "line 2 is not"),
        ("---\ndescription: |\n  x\n---\ny", "line 2 begins a text of several lines"),
        ("---\nmodel: a\nmodel: b\n---\ny", "line 3 gives model a second time"),
        ("---\nmodel: 'a\n---\ny", "line 2 has a quote"),
        ("---\nmodel: 'a' b'\n---\ny", "line 2 has a quote"),
        ('---\nmodel: "a" b\n---\ny', "line 2 has a quote"),
        ("---\ndry-run: yes\n---\ny", "dry-run is true or false"),
        ("---\nmax-steps: 0\n---\ny", "max-steps is a number from 1"),
        ("---\nmax-steps: ١\n---\ny", "max-steps is a number from 1"),
        ("---\ntimeout: nan\n---\ny", "timeout is a number of seconds"),
        ("---\ntimeout:\n---\ny", "timeout is a number of seconds"),
        ("---\nmodel: a\n---\n \n", "no request"),
        ("", "no request"),
        (b"caf\xe9", "not UTF-8, at byte 3"),
        (b"a\0b", "not text"),
        ("x" * 64_001, "more than 64 KB"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(project: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        of(project, text)
    assert "commands/x.md" in caught.value.message and caught.value.hint


def test_only_files_are_read(project: Path) -> None:
    commands = project / ".llmasos" / "commands"
    os.mkfifo(commands / "pipe.md")
    (commands / "gone.md").symlink_to("nothing.md")
    (commands / "folder.md").mkdir()
    found = find(project)
    assert list(found.places) == ["gone", "pipe"]
    with pytest.raises(CommandError, match="is no file"):
        read(found.places["pipe"])
    with pytest.raises(CommandError, match="no such file"):
        read(found.places["gone"])
