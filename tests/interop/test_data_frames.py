"""pandas and orjson with views of committed state and guards of a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from theus import TheusEngine
from theus.interop import json_default

ROWS = [{"x": 1, "y": "p"}, {"x": 2, "y": "q"}]
COLUMNS = {"q": [1, 2], "w": [3, 4]}


@pytest.fixture(params=["view", "guard"])
def domain(request: pytest.FixtureRequest) -> Iterator[Any]:
    content = {"rows": ROWS, "columns": COLUMNS, "counts": {"a": 1, "b": 2}, "set": {2, 1}}
    with TheusEngine({"domain": content}) as engine:
        if request.param == "view":
            yield engine.state.domain
        else:
            with engine.transaction() as tx:
                yield tx.domain


def test_frames_of_rows_and_of_columns(domain: Any) -> None:
    pandas = pytest.importorskip("pandas")
    expected = pandas.DataFrame(ROWS)
    for made in (
        pandas.DataFrame(domain.rows),
        pandas.DataFrame(list(domain.rows)),
        pandas.DataFrame.from_records(domain.rows),
        pandas.DataFrame.from_records([dict(row) for row in domain.rows]),
        pandas.json_normalize(domain.rows.to_list()),
    ):
        pandas.testing.assert_frame_equal(made, expected)
    expected = pandas.DataFrame(COLUMNS)
    for made in (
        pandas.DataFrame(dict(domain["columns"])),
        pandas.DataFrame(domain["columns"].to_dict()),
        pandas.DataFrame(dict(domain["columns"].items())),
    ):
        pandas.testing.assert_frame_equal(made, expected)


def test_series_and_lookups(domain: Any) -> None:
    pandas = pytest.importorskip("pandas")
    numbers = domain["columns"]["q"]
    assert pandas.Series(numbers).tolist() == [1, 2]
    assert pandas.Series(dict(domain.counts)).to_dict() == {"a": 1, "b": 2}
    assert pandas.Series(domain.counts).to_dict() == {"a": 1, "b": 2}
    assert pandas.Series([1, 5]).isin(numbers).tolist() == [True, False]
    assert pandas.Series(["a", "z"]).map(dict(domain.counts)).tolist()[0] == 1
    assert pandas.Index(numbers).tolist() == [1, 2]


def test_orjson_with_the_hook(domain: Any) -> None:
    orjson = pytest.importorskip("orjson")
    text = orjson.dumps(domain, default=json_default)
    assert orjson.loads(text) == {
        "rows": ROWS,
        "columns": COLUMNS,
        "counts": {"a": 1, "b": 2},
        "set": [1, 2],
    }
    with pytest.raises(TypeError):
        orjson.dumps({"a": object()}, default=json_default)


def test_orjson_does_not_nest_calls_of_the_hook() -> None:
    orjson = pytest.importorskip("orjson")
    calls = 0

    def counting(value: Any) -> Any:
        nonlocal calls
        calls += 1
        return json_default(value)

    value: Any = 1
    for _ in range(100):
        value = {"n": [value]}
    with TheusEngine({"domain": {"deep": value}}) as engine:
        text = orjson.dumps(engine.state.domain, default=counting)
    assert text == orjson.dumps({"deep": value})
    assert calls == 1
