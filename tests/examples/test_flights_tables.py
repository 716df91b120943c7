"""The csv reader and the tables of the flights example."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from flights import csvfile, tables
from flights.csvfile import MISSING, Label, Real, TableError, Whole, read_columns

from tests.examples import small


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_columns_of_every_kind(tmp_path: Path) -> None:
    path = write(tmp_path, 'name,n,x,more\n"b, c",1,0.5,-\na,NA,NA,-\n"b, c",-3,2,-\n')
    label = Label()
    columns = read_columns(path, {"x": Real(), "n": Whole(), "name": label})
    assert columns["n"].tolist() == [1, MISSING, -3]
    np.testing.assert_array_equal(columns["x"], [0.5, np.nan, 2.0])
    assert columns["name"].tolist() == [0, 1, 0]
    assert label.names == ["b, c", "a"]


@pytest.mark.parametrize("rows", [csvfile.BLOCK - 1, csvfile.BLOCK, 2 * csvfile.BLOCK + 1])
def test_blocks_join_without_a_seam(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path, "n\n" + "".join(f"{number}\n" for number in range(rows)))
    assert read_columns(path, {"n": Whole()})["n"].tolist() == list(range(rows))


def test_a_table_without_rows_has_columns_without_rows(tmp_path: Path) -> None:
    assert read_columns(write(tmp_path, "n\n"), {"n": Whole()})["n"].tolist() == []


@pytest.mark.parametrize(
    ("text", "parser", "said"),
    [
        ("", Whole(), "empty"),
        ("m\n1\n", Whole(), "no column n"),
        ("n,m\n1,2\n1\n", Whole(), "row 3 has 1 cells, the header has 2"),
        ("n\n1\n2\n1.5\n", Whole(), r"row 4, column n: '1.5' is not a whole number"),
        ("n\n1\nx\n", Real(), r"row 3, column n: 'x' is not a number"),
        ("n\na\nNA\n", Label(), r"row 3, column n: 'NA' is not a name"),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(
    tmp_path: Path, text: str, parser: csvfile.Parser, said: str
) -> None:
    with pytest.raises(TableError, match=said) as caught:
        read_columns(write(tmp_path, text), {"n": parser})
    assert "table.csv" in str(caught.value)


def test_the_row_is_right_behind_the_first_block(tmp_path: Path) -> None:
    path = write(tmp_path, "n\n" + "7\n" * (csvfile.BLOCK + 5) + "seven\n")
    with pytest.raises(TableError, match=f"row {csvfile.BLOCK + 7}, column n: 'seven'"):
        read_columns(path, {"n": Whole()})


def test_an_archive_holds_one_file(tmp_path: Path) -> None:
    path = tmp_path / "table.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "n\n1\n")
        archive.writestr("b.csv", "n\n2\n")
    with pytest.raises(TableError, match="one file is expected"):
        read_columns(path, {"n": Whole()})


def test_tables_keep_what_the_files_say(tmp_path: Path) -> None:
    rows = small.flights(50)
    loaded = tables.load_tables(small.write_tables(tmp_path, rows))
    names = loaded.names
    assert names.carriers == tuple(sorted(names.carriers))
    assert names.origins == ("EWR", "JFK", "LGA")
    assert names.carrier_names["UA"] == 'United, "the" one'
    for row, flight in zip(rows, loaded.flights, strict=True):
        assert names.carriers[flight["carrier"]] == row["carrier"]
        assert names.origins[flight["origin"]] == row["origin"]
        assert names.destinations[flight["dest"]] == row["dest"]
        for field in ("dep_time", "dep_delay", "arr_delay", "hour", "flight"):
            assert flight[field] == (MISSING if row[field] == "NA" else row[field])


def test_the_index_leads_to_the_weather_of_place_and_hour(tmp_path: Path) -> None:
    loaded = tables.load_tables(small.write_tables(tmp_path))
    index = tables.weather_index(loaded.weather, len(loaded.names.origins))
    rows = index[tables.hour_key(loaded.flights)]
    known = {tuple(row[["origin", "month", "day", "hour"]]) for row in loaded.weather}
    missing = 0
    for flight, row in zip(loaded.flights, rows, strict=True):
        hour = tuple(flight[["origin", "month", "day", "hour"]])
        if row == tables.NO_WEATHER:
            missing += 1
            assert hour not in known
        else:
            assert tuple(loaded.weather[row][["origin", "month", "day", "hour"]]) == hour
    assert 0 < missing < len(rows)


def test_of_a_repeated_hour_the_earlier_row_counts(tmp_path: Path) -> None:
    hours = small.weather()
    again = {**hours[3], "precip": 9}
    loaded = tables.load_tables(small.write_tables(tmp_path, None, [*hours, again]))
    index = tables.weather_index(loaded.weather, 3)
    assert index[tables.hour_key(loaded.weather[-1:])[0]] == 3


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("year", 2014, "column year holds 2013 to 2014; 2013 to 2013 is expected"),
        ("month", 13, "column month holds 1 to 13"),
        ("hour", 24, "column hour"),
        ("flight", 40000, "column flight"),
        ("dep_delay", 99999, "column dep_delay"),
        ("carrier", "NA", "column carrier"),
    ],
)
def test_impossible_flights_are_refused(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    rows = small.flights(20)
    rows[4][field] = value
    with pytest.raises(TableError, match=said):
        tables.load_tables(small.write_tables(tmp_path, rows))


def test_weather_of_an_unknown_airport_is_refused(tmp_path: Path) -> None:
    hours = small.weather()
    hours[0]["origin"] = "PHL"
    with pytest.raises(TableError, match="no flight leaves from PHL"):
        tables.load_tables(small.write_tables(tmp_path, None, hours))


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PACKAGE", "no_such_data_package")
    with pytest.raises(tables.DataMissingError, match="extra `demo`"):
        tables.data_folder()
