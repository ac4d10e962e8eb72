"""Replies as JSON."""

import json
from typing import Any

import pytest

from llmasos.api import CommitInfo, Diff
from llmasos.events import FileChange
from llmasos.service.replies import reply

NAME = "caf\udce9.txt"
CHANGE = FileChange(path=NAME, kind="added")


@pytest.mark.parametrize(
    "value", [[CommitInfo(id="c-1", paths=(NAME,))], [], [Diff(changes=(CHANGE,))], CHANGE]
)
def test_a_name_that_is_no_utf_8_comes_back_as_it_was(value: Any) -> None:
    answer = reply(value)
    if isinstance(value, list):
        found = [type(value[0]).model_validate(each) for each in json.loads(bytes(answer.body))]
    else:
        found = type(value).model_validate_json(bytes(answer.body))
    assert found == value
