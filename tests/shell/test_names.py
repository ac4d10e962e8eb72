"""Names on the command line that name nothing, and text that is none."""

import pytest

from tests.shell.conftest import Run


@pytest.mark.parametrize("name", ["", ".", ".."])
@pytest.mark.parametrize("words", [("diff",), ("watch",), ("explain",), ("keys", "show"), ("ledger", "show")])
def test_what_names_nothing_is_refused(run: Run, words: tuple[str, ...], name: str) -> None:
    done = run(*words, name)
    assert (done.code, done.out, done.err) == (2, "", f"{name!r} is no name.\nSay which one is meant.\n")


@pytest.mark.parametrize("words", [("run",), ("search",), ("diff",), ("memory", "add")])
def test_bytes_that_are_no_text_are_named(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words, "caf\udce9")
    assert done.code == (1 if words == ("run",) else 2) and done.err.startswith(
        "The request holds bytes that are not UTF-8.\n"
    )


def test_a_job_that_is_to_be_stopped_is_named(run: Run) -> None:
    done = run("jobs", "s-1", "--stop")
    assert done.code == 2 and "name the job that is to be stopped." in done.err
