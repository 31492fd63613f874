"""Lists of pairs: both formats, and errors that name the line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceall.errors import EvaluationError
from faceall.evaluate import Pair, read_pairs


def write(folder: Path, text: str | bytes, name: str = "pairs.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_lfw_format(tmp_path: Path) -> None:
    """`NAME i j` is one person, `NAME i NAME j` two people; images are NAME/NAME_0001.jpg."""
    path = write(tmp_path, "1\nAda\t1\t12\nAda\t1\tEve\t3\n")
    ada, eve = tmp_path / "Ada", tmp_path / "Eve"
    assert read_pairs(path) == [
        Pair(ada / "Ada_0001.jpg", ada / "Ada_0012.jpg", True, 2),
        Pair(ada / "Ada_0001.jpg", eve / "Eve_0003.jpg", False, 3),
    ]


def test_sets_of_the_heading(tmp_path: Path) -> None:
    """The heading `2 1` divides the list into two sets with one pair of each kind."""
    path = write(tmp_path, "2 1\nA 1 2\nA 1 B 1\nC 1 2\nC 1 D 1\n")
    assert [pair.set for pair in read_pairs(path)] == [0, 0, 1, 1]
    path = write(tmp_path, "2\nA 1 2\nC 1 2\nA 1 B 1\nC 1 D 1\n")
    assert [pair.set for pair in read_pairs(path)] == [None] * 4


def test_a_heading_is_not_needed(tmp_path: Path) -> None:
    """Blank lines, a byte-order mark, Windows line ends and a missing heading are accepted."""
    path = write(tmp_path, "\ufeffA 1 2\r\n\r\nA 1 B 1\r\n")
    assert [(pair.same, pair.line) for pair in read_pairs(path)] == [(True, 1), (False, 3)]


def test_names_with_blanks_and_other_suffixes(tmp_path: Path) -> None:
    """With tabs, names may contain blanks; the suffix is that of the existing file."""
    (tmp_path / "Ada Lovelace").mkdir()
    (tmp_path / "Ada Lovelace" / "Ada Lovelace_0001.png").touch()
    (pair,) = read_pairs(write(tmp_path, "Ada Lovelace\t1\t2\n"))
    assert (pair.first.name, pair.second.name) == ("Ada Lovelace_0001.png", "Ada Lovelace_0002.jpg")


def test_csv(tmp_path: Path) -> None:
    """`path,path,same` is read with or without a heading; relative paths start at the given folder."""
    text = 'first,second,same\na.jpg,"b,c.jpg",1\na.jpg,/d.jpg,No\n'
    folder = tmp_path / "photos"
    assert read_pairs(write(tmp_path, text, "list.csv"), folder=folder) == [
        Pair(folder / "a.jpg", folder / "b,c.jpg", True, 2),
        Pair(folder / "a.jpg", Path("/d.jpg"), False, 3),
    ]
    assert len(read_pairs(write(tmp_path, "a.jpg,b.jpg,same\n", "list.csv"))) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pairs.txt", "A 1 2\nB one 2\n", r"pairs\.txt:2: expected NAME i j or NAME i NAME j, got 'B one 2'"),
        ("pairs.txt", "A 1 2\nB 1\n", r"pairs\.txt:2: expected"),
        ("pairs.txt", "A 1 2\nA 1 B 2 3\n", r"pairs\.txt:2: expected"),
        ("pairs.txt", "A 1 2\n" + "x" * 500, r"pairs\.txt:2: expected .*\.\.\.'$"),
        ("pairs.txt", "A 1 2\nA 3 3\n", r"pairs\.txt:2: compares A_0003\.jpg with itself"),
        ("pairs.txt", "2\nA 1 2\nA 1 B 1\n", r"pairs\.txt:1: the first line declares 4 pairs .*, 2 follow"),
        ("pairs.txt", "10 300\nA 1 2\n", r"pairs\.txt:1: the first line declares 6000 pairs .*, 1 follow"),
        ("pairs.txt", "", r"pairs\.txt: contains no pairs"),
        ("pairs.txt", "\n \n", r"pairs\.txt: contains no pairs"),
        ("pairs.txt", b"\xff\xfe\x00", r"pairs\.txt: is not UTF-8"),
        ("pairs.csv", "a.jpg,b.jpg,1\na.jpg,b.jpg\n", r"pairs\.csv:2: expected path,path,same"),
        ("pairs.csv", "a.jpg,b.jpg,maybe\n", r"pairs\.csv:1: expected path,path,same"),
        ("pairs.csv", "a,b,same?\nc,d,maybe\n", r"pairs\.csv:2: expected"),
        ("pairs.csv", "a.jpg,,1\n", r"pairs\.csv:1: expected"),
        ("pairs.csv", 'a.jpg,"b.jpg,1\n', r"pairs\.csv:1: is not valid CSV"),
        ("pairs.csv", "first,second,same\n", r"pairs\.csv: contains no pairs; expected lines of path,path,same"),
    ],
)
def test_wrong_lists_are_refused(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    """The error names the file, the line, the value and what is expected."""
    with pytest.raises(EvaluationError, match=message):
        read_pairs(write(tmp_path, text, name))


def test_absent_list(tmp_path: Path) -> None:
    """A missing list, or a folder, gives a one-line error."""
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(EvaluationError, match="cannot be read"):
            read_pairs(path)


@given(st.binary(max_size=60), st.sampled_from(["pairs.txt", "pairs.csv"]))
def test_any_bytes_give_pairs_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    """Arbitrary bytes give pairs or a one-line EvaluationError."""
    path = write(tmp_path_factory.mktemp("pairs"), content, name)
    with contextlib.suppress(EvaluationError):
        assert read_pairs(path)
        return
    with pytest.raises(EvaluationError, match=r"\A[^\n]*\Z"):
        read_pairs(path)
