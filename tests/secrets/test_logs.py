"""Logs and canaries."""

import io
import logging

from llmasos.secrets import VARIABLE, Canaries, RedactingFormatter, Redactor


def test_no_secret_is_logged_not_even_in_a_traceback() -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(
        RedactingFormatter(logging.Formatter("%(levelname)s %(message)s"), Redactor(["hunter2-db"]))
    )
    logger = logging.getLogger("tests.secrets")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        raise ValueError("the password is hunter2-db")
    except ValueError:
        logger.exception("could not log in with %s and %s", "hunter2-db", {"password": "hunter2-db"})
    finally:
        logger.removeHandler(handler)
    assert "hunter2" not in log.getvalue()
    assert log.getvalue().startswith("ERROR could not log in with [redacted:known-secret:")
    assert "ValueError: the password is [redacted:" in log.getvalue()


def test_each_session_has_a_canary_of_its_own_that_tells_once() -> None:
    redactor, told = Redactor(), []
    canaries = Canaries(redactor)
    one = canaries.plant("s-1", lambda: told.append("s-1"))[VARIABLE]
    two = canaries.plant("s-2", lambda: told.append("s-2"))[VARIABLE]
    assert one != two
    assert canaries.plant("s-1", lambda: None) == {VARIABLE: one}
    assert redactor.text("nothing here") == "nothing here"
    assert told == []
    for _ in range(3):
        assert redactor.text(f"a {two} b").startswith("a [redacted:canary:")
        redactor.text(f"{two} again {_}")
    assert told == ["s-2"]


def test_a_canary_counts_more_than_the_shape_it_has() -> None:
    redactor, told = Redactor(), []
    canary = Canaries(redactor).plant("s-1", lambda: told.append(1))[VARIABLE]
    stream = redactor.stream()
    shown = "".join(map(stream.feed, f"token={canary}\n"))
    assert shown.startswith("token=[redacted:canary:")
    assert told == [1]
