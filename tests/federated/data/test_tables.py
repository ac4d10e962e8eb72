"""CSV and Parquet files become tables or texts, or are refused with a reason."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmasos.federated.data import tables
from llmasos.federated.data.sources import load
from llmasos.federated.port import DataError


def written(folder: Path, text: str | bytes, name: str = "a.csv") -> str:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return str(folder / name)


def test_numbers_booleans_and_words_become_columns(tmp_path: Path) -> None:
    rows = "age,smokes,colour,ill\n30,true,red,yes\n 41 ,False,blue,no\n52,TRUE,red,no\n"
    told = load(written(tmp_path, rows))
    assert told.kind == "table"
    assert told.columns == ("age", "smokes", "colour=blue", "colour=red")
    assert told.inputs.tolist() == [[30, 1, 0, 1], [41, 0, 1, 0], [52, 1, 0, 1]]
    assert told.inputs.dtype == np.float32
    assert told.labels.tolist() == ["yes", "no", "no"]


@pytest.mark.parametrize("sign", [";", "\t", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_signs_ends_and_marks_of_other_programs_are_read(
    tmp_path: Path, sign: str, end: str, mark: str
) -> None:
    rows = mark + end.join([sign.join(row) for row in (("a", "b", "y"), ("1", "2", "ü"), ("3", "4", "n"))])
    told = load(written(tmp_path, rows))
    assert told.columns == ("a", "b")
    assert told.inputs.tolist() == [[1, 2], [3, 4]]
    assert told.labels.tolist() == ["ü", "n"]


def test_another_column_can_be_the_label(tmp_path: Path) -> None:
    told = load("a.csv", label="y", folder=Path(written(tmp_path, "y,a\np,1\nq,2\n")).parent)
    assert told.columns == ("a",)
    assert told.labels.tolist() == ["p", "q"]


def test_one_column_of_words_is_texts(tmp_path: Path) -> None:
    told = load(written(tmp_path, 'text,y\n"one, and\ntwo",a\nthree,b\n'))
    assert (told.kind, told.columns) == ("texts", ())
    assert told.inputs.tolist() == ["one, and\ntwo", "three"]
    assert told.labels.tolist() == ["a", "b"]
    told = load(written(tmp_path, "text\none\ntwo\n"))
    assert (told.kind, told.labels.tolist()) == ("texts", ["", ""])


def test_what_is_missing_is_not_a_number(tmp_path: Path) -> None:
    told = load(written(tmp_path, "a,b,c,y\n,true,u,p\nNA,,v,q\n1,false,,q\n"))
    assert told.columns == ("a", "b", "c=u", "c=v")
    assert np.isnan(told.inputs).tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [False, False, True, True],
    ]


def test_a_whole_number_is_one_class_however_it_is_written(tmp_path: Path) -> None:
    one = load(written(tmp_path, "a,y\n1,0\n2,1\n"))
    other = load(written(tmp_path, "a,y\n1,0.0\n2,1.0\n"))
    pq.write_table(pa.table({"a": [1, 2], "y": [0.0, 1.0]}), tmp_path / "a.parquet")
    third = load(str(tmp_path / "a.parquet"))
    assert one.labels.tolist() == other.labels.tolist() == third.labels.tolist() == ["0", "1"]


def test_parquet_is_read_by_its_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "n": [1, 2, None],
            "f": [0.5, float("nan"), 3],
            "b": [True, None, False],
            "w": ["u", "v", None],
            "d": pa.array(["p", "q", "p"]).dictionary_encode(),
            "y": [True, False, True],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    told = load(str(tmp_path / "a.parquet"))
    assert told.columns == ("n", "f", "b", "w=u", "w=v", "d=p", "d=q")
    assert np.array_equal(
        told.inputs,
        np.array(
            [[1, 0.5, 1, 1, 0, 1, 0], [2, np.nan, np.nan, 0, 1, 0, 1], [np.nan, 3, 0, np.nan, np.nan, 1, 0]]
        ),
        equal_nan=True,
    )
    assert told.labels.tolist() == ["true", "false", "true"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.integers(-(2**20), 2**20),
            st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1).filter(
                lambda word: word.strip() and len(word) < 50
            ),
            st.sampled_from(["a", "b", "c, d", 'e"f']),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_a_written_table_is_read_as_it_was(tmp_path: Path, rows: list[tuple[float, int, str, str]]) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("f", "i", "w", "y"), *((f, i, f"w{w}", y) for f, i, w, y in rows)])
    told = load(str(tmp_path / "a.csv"))
    assert told.inputs[:, :2].tolist() == [[float(f), float(i)] for f, i, _, _ in rows]
    assert told.labels.tolist() == [y for *_, y in rows]
    words = [column.removeprefix("w=") for column in told.columns[2:]]
    assert words == sorted({f"w{w}".strip() for _, _, w, _ in rows})
    assert [words[place] for place in told.inputs[:, 2:].argmax(axis=1)] == [
        f"w{w}".strip() for _, _, w, _ in rows
    ]


BAD: dict[str, tuple[str | bytes, str]] = {
    "nothing": (b"", "is empty"),
    "blank": ("\n\n", "first line of 'a.csv' is blank"),
    "names alone": ("a,y", "has no rows"),
    "names and an end": ("a,y\n", "has no rows"),
    "no names": ("1,2\n3,4\n", "numbers in place of the columns' names"),
    "one column": ("a\n1\n2\n", "one column only"),
    "too few": ("a,b,y\n1,2,p\n3,q\n", "ragged: row 3 has 2 columns, not 3"),
    "too many": ("a,b,y\n1,2,p\n3,4,5,q\n", "ragged: row 3 has 4 columns, not 3"),
    "twice": ("a,a,y\n1,2,p\n", "several columns of the name 'a'"),
    "row numbers": (",a,y\n0,2,p\n", "Column 1 of 'a.csv' has no name"),
    "sign": ("a=b,y\n0,p\n", "has `=` in its name"),
    "binary": (bytes(range(256)) * 20, "is not text"),
    "latin": ("a,y\n1,p\n2,é\n".encode("latin-1"), "not UTF-8: line 3"),
    "latin with a mark": (b"\xef\xbb\xbfa,y\n1,\xe9\n", "not UTF-8: line 2"),
    "cut off": ("a,y\n1,é".encode()[:-1], "not UTF-8: line 2"),
    "utf-16": ("a,y\n1,p\n".encode("utf-16"), "is UTF-16 text"),
    "open quotation": ('a,y\n1,"p\n2,q\n', "line breaks"),
    "long open quotation": ('a,y\n1,"p\n' + "2,q\n" * 4_000_000, "more than 4 MiB"),
    "no label": ("a,y\n1,p\n2,\n", "1 rows of 'a.csv' have no label in column 'y'"),
    "texts": ("a,t,y\n" + "".join(f"1,t{i},p\n" for i in range(60)), "Column 't' of 'a.csv' holds texts"),
    "commas": ("a;b;y\n" + "".join(f"1;2,{i};p\n" for i in range(60)), "Column 'b' of 'a.csv' holds texts"),
    "measured": ("a,y\n" + "".join(f"1,{i / 7}\n" for i in range(60)), "look like measurements"),
    "counted": ("a,y\n" + "".join(f"1,{i}\n" for i in range(999)), "look like measurements"),
    "named": ("a,y\n" + "".join(f"1,n{i}\n" for i in range(999)), "look like names"),
    "long": ("a,y\n1,p\n2," + "q" * 200 + "\n", "texts of up to 200 characters"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(tmp_path: Path, name: str) -> None:
    text, said = BAD[name]
    with pytest.raises(DataError) as caught:
        load(written(tmp_path, text))
    assert said in caught.value.message
    assert caught.value.hint


def test_a_label_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'z'; it has 'a', 'y'"):
        load(written(tmp_path, "a,y\n1,p\n"), label="z")


def test_an_error_tells_nothing_of_what_is_in_the_rows(tmp_path: Path) -> None:
    for text in ("a,b,y\n1,secret\n", "a,b,y\n1,2,p\n3,secret\n", "a,y\n1,secret\xff\n"):
        with pytest.raises(DataError) as caught:
            load(written(tmp_path, text.encode("latin-1")))
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_damaged_and_odd_parquet_files_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.parquet"
    pq.write_table(pa.table({"a": list(range(1000)), "y": ["p", "q"] * 500}), good)
    for place, bad in enumerate((b"PAR1rubbishPAR1", good.read_bytes()[:-30], good.read_bytes()[50:])):
        with pytest.raises(DataError, match="damaged"):
            load(written(tmp_path, bad, f"{place}.parquet"))
    pq.write_table(pa.table({"a": pa.array([1, 2], pa.timestamp("s")), "y": ["p", "q"]}), good)
    with pytest.raises(DataError, match=r"Column 'a' of 'good\.parquet' holds timestamp"):
        load(str(good))
    pq.write_table(pa.table({"a": pa.array([None, None], pa.string()), "b": [1, 2], "y": ["p", "q"]}), good)
    with pytest.raises(DataError, match=r"Column 'a' of 'good\.parquet' is blank"):
        load(str(good))


def test_a_parquet_file_of_very_many_equal_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = pa.table({"a": np.zeros(100_000, np.int8), "y": np.zeros(100_000, np.int8)})
    pq.write_table(same, tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    monkeypatch.setattr(tables, "MAX_BYTES", 100_000)
    with pytest.raises(DataError, match="100,000 rows of 2 numbers"):
        load(str(tmp_path / "a.parquet"))


def test_a_link_a_pipe_and_a_device_are_not_read(tmp_path: Path) -> None:
    real = written(tmp_path, "a,y\n1,p\n2,q\n")
    (tmp_path / "link.csv").symlink_to(real)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="is a link"):
        load("link.csv", folder=tmp_path)
    with pytest.raises(DataError, match="not a file"):
        load("pipe.csv", folder=tmp_path)
    with pytest.raises(DataError, match="neither a CSV"):
        load("/dev/zero")


def test_words_that_would_take_too_much_memory_are_refused(tmp_path: Path) -> None:
    words = ["ab"[i % 2] + "xyz"[i % 3] for i in range(50)]
    row = ",".join(words) + ",p\n"
    names = ",".join(f"c{i}" for i in range(50)) + ",y\n"
    shifted = "".join(
        ",".join(str(chr(97 + (i + j) % 26)) for i in range(50)) + ",p\n" for j in range(50_000)
    )
    with pytest.raises(DataError, match="MiB in memory"):
        load(written(tmp_path, names + row + shifted))


MEASURE = """
import resource, sys
from llmasos.federated.data.sources import load
def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
load(sys.argv[1])
before = most()
load(sys.argv[2])
print(most() - before)
"""


def test_reading_takes_little_more_memory_than_the_numbers(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(50)) + ",y\n"
    small = written(tmp_path, names + ",".join("1" * 50) + ",a\n" + ",".join("2" * 50) + ",b\n", "small.csv")
    lines = "".join(",".join(str((i + j) % 10) for i in range(50)) + f",{'ab'[j % 2]}\n" for j in range(100))
    large = written(tmp_path, names + lines * 1000, "large.csv")
    told = subprocess.run([sys.executable, "-c", MEASURE, small, large], capture_output=True, check=True)
    assert int(told.stdout) < 4 * Path(large).stat().st_size


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
    end=st.integers(0, 5000),
    kind=st.sampled_from(["csv", "parquet"]),
)
def test_damaged_files_end_in_an_error_that_says_so_or_are_read(
    tmp_path: Path, places: list[tuple[int, int]], end: int, kind: str
) -> None:
    good = tmp_path / "good.parquet"
    if not good.exists():
        pq.write_table(pa.table({"a": list(range(50)), "w": ["u", "v"] * 25, "y": ["p", "q"] * 25}), good)
    bad = bytearray(good.read_bytes() if kind == "parquet" else b"a,w,y\n" + b"1,u,p\n2,v,q\n" * 25)
    for place, byte in places:
        bad[place % len(bad)] = byte
    name = written(tmp_path, bytes(bad[: end or None]), f"bad.{kind}")
    try:
        told = load(name)
    except DataError as error:
        assert error.hint
    else:
        assert len(told) > 0
