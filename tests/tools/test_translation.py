import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.errors import ToolError
from llmasos.tools._text import decode
from llmasos.tools.translation import split


@given(st.text(alphabet="ab。. \n", max_size=300), st.integers(1, 40))
def test_pieces_join_to_the_text(text: str, size: int) -> None:
    pieces = split(text, size)
    assert "".join(pieces) == text
    assert all(len(piece) <= size for piece in pieces)


def test_pieces_end_at_blank_lines() -> None:
    assert split("one one\n\ntwo two\n\nthree\n", 16) == ["one one\n\n", "two two\n\nthree\n"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_text_is_read_in_its_encoding(encoding: str) -> None:
    assert decode("今天天气很好\n".encode(encoding), "f") == "今天天气很好\n"


def test_a_cut_character_is_dropped() -> None:
    assert decode("中文".encode()[:-1], "f", partial=True) == "中"


def test_binary_is_named() -> None:
    with pytest.raises(ToolError, match=r"data\.bin is a binary file"):
        decode(b"\0\1\2", "data.bin")
