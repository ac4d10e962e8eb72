"""Where a request says what it is to be saved as."""

from __future__ import annotations

import pytest

from llmasos.tools._saving import saved_as


@pytest.mark.parametrize(
    ("request_", "rest", "file"),
    [
        ("totals by region, and save them as total.csv", "totals by region", "total.csv"),
        ("totals by region, and then save it as out/total.csv.", "totals by region", "out/total.csv"),
        ("按地区汇总，然后保存成 total.csv", "按地区汇总", "total.csv"),
        ("按地区汇总并存为“总计.csv”", "按地区汇总", "总计.csv"),
        ("What is the sum? Save it as sum.csv", "What is the sum?", "sum.csv"),
        ("合计是多少？保存为 sum.csv", "合计是多少？", "sum.csv"),
        ("totals, and save the whole table to out.csv, please.", "totals", "out.csv"),
        (
            "how many were picked up and put in depot.csv",
            "how many were picked up and put in depot.csv",
            None,
        ),
        ("which tips save money in total.csv?", "which tips save money in total.csv?", None),
        ("how many were saved to disk.img by users?", "how many were saved to disk.img by users?", None),
        ("save it as a.csv", "save it as a.csv", "a.csv"),
    ],
)
def test_a_file_at_the_end_is_told_from_the_rest(request_: str, rest: str, file: str | None) -> None:
    assert saved_as(request_) == (rest, file)
