"""Tables: two that are much the same in one pass, and copies for spreadsheet programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.export.artifacts import export_artifacts
from penstock.export.tables import csv_line, quote_formulas, twins, write_csv
from penstock.store.files.ownership import ARTIFACTS

HEADER = ("one", "other")


def write_twins(
    folder: Path, pairs: Iterable[Any], *, is_linked: bool = False
) -> tuple[Path, Path]:
    (folder / "analysis").mkdir(exist_ok=True)
    with twins(folder, "a", HEADER, is_linked=is_linked) as write:
        for pair in pairs:
            write(*pair)

    return folder / "a", folder / "analysis" / "a"


@pytest.mark.parametrize("place", [0, 1, 99])
def test_two_tables_are_alike_up_to_the_row_in_which_they_differ(
    tmp_path: Path, place: int
) -> None:
    rows = [(f"né {number}\r\n", number) for number in range(100)]
    others: list[Any] = [*rows]
    others[place] = ("changed", None)
    written = write_twins(tmp_path, zip(rows, others, strict=True))

    for path, expected in zip(written, (rows, others), strict=True):
        write_csv(tmp_path / "expected", HEADER, expected)
        assert path.read_bytes() == (tmp_path / "expected").read_bytes()


_CELLS = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(st.characters(), max_size=8),
    st.text(",\"\r\n ';\0é€", max_size=8),
)


@given(st.lists(_CELLS, max_size=5))
def test_a_line_is_that_of_the_csv_module(row: list[Any]) -> None:
    expected = StringIO(newline="")
    csv.writer(expected).writerow(row)

    assert csv_line(row) == expected.getvalue()


def test_a_row_may_be_missing_in_the_other_table(tmp_path: Path) -> None:
    rows = [("x", 1), ("y", 2), ("z", 3)]
    one, other = write_twins(tmp_path, [(rows[0], None), *((r, r) for r in rows)])

    assert one.read_bytes() == b"one,other\r\nx,1\r\nx,1\r\ny,2\r\nz,3\r\n"
    assert other.read_bytes() == b"one,other\r\nx,1\r\ny,2\r\nz,3\r\n"


def test_equal_tables_are_two_files(tmp_path: Path) -> None:
    row = ("x", 1)
    one, other = write_twins(tmp_path, [(row, row)])
    other.write_text("edited")

    assert one.read_bytes() == b"one,other\r\nx,1\r\n"


def test_large_equal_tables_are_one_file_until_they_are_written_again(tmp_path: Path) -> None:
    row = ("x", 1)
    one, other = write_twins(tmp_path, [(row, row)], is_linked=True)
    assert one.samefile(other)

    write_twins(tmp_path, [(row, None)], is_linked=True)
    assert one.read_bytes() == b"one,other\r\nx,1\r\n"
    assert other.read_bytes() == b"one,other\r\n"


def test_rows_that_end_in_an_error_leave_both_tables_as_they_were(tmp_path: Path) -> None:
    row = ("x", 1)
    written = write_twins(tmp_path, [(row, None)])
    before = [path.read_bytes() for path in written]

    def broken() -> Any:
        yield row, row
        yield row, None
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        write_twins(tmp_path, broken())

    assert [path.read_bytes() for path in written] == before
    assert not [*tmp_path.rglob(".*")]


def test_halves_of_surrogate_pairs_are_written_out_in_both(tmp_path: Path) -> None:
    rows = [("half \ud83d", 1), ("x", 2)]
    one, other = write_twins(tmp_path, [(rows[0], rows[0]), (rows[1], None)])

    for path, more in ((one, b"x,2\r\n"), (other, b"")):
        assert path.read_bytes() == b"one,other\r\nhalf \\ud83d,1\r\n" + more


def test_where_the_file_system_has_no_links_the_other_table_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    row = ("x", 1)
    one, other = write_twins(tmp_path, [(row, row)], is_linked=True)

    assert one.read_bytes() == other.read_bytes()
    assert not one.samefile(other)


@pytest.mark.field("engine-G18")
def test_a_copy_for_spreadsheets_quotes_the_names_of_columns_and_leaves_other_tables_alone(
    tmp_path: Path,
) -> None:
    async def answer(ctx: ps.RunContext) -> str:
        return "=1+1"

    levels = ("=HYPERLINK(1)", "-1", "plain")
    factors = (ps.Factor(name="=HYPERLINK(1)", levels=levels), ps.Factor(name="tone", levels=(1,)))
    study = ps.Study(
        study_id="s", title="t", factors=factors, problem_ids=("p",), agent_specs=("a",)
    )
    ps.run_study(study, agent_bindings={"a": answer}, output_dir=tmp_path / "results")
    copy = export_artifacts(tmp_path / "results", tmp_path / "copy")
    (copy / "mine.csv").write_text("=mine\r\n")
    quote_formulas(copy)

    with (copy / "conditions.csv").open(newline="") as file:
        header, *rows = csv.reader(file)

    assert header[-2:] == ["'=HYPERLINK(1)", "tone"]
    assert [row[-2] for row in rows] == ["'=HYPERLINK(1)", "-1", "plain"]
    assert (copy / "mine.csv").read_text() == "=mine\n"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        *((f"{sign}1+1", True) for sign in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"),
        ("=", True),
        ("-", True),
        ("-5", False),
        ("+.5e3", False),
        (" =1", False),
        ("'=1", False),
    ],
)
def test_a_text_that_a_spreadsheet_could_run_is_quoted(
    tmp_path: Path, text: str, quoted: bool
) -> None:
    for name in (each for each in ARTIFACTS if each.endswith(".csv")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_csv(tmp_path / name, ("text",), [(text,)])

    quote_formulas(tmp_path)
    with (tmp_path / "runs.csv").open(newline="", encoding="utf-8") as file:
        assert [*csv.reader(file)][1:] == [[f"'{text}" if quoted else text]]
