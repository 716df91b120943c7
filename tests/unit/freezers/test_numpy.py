"""numpy values in DATA: shared where immutable, copied and locked where not."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from theus._core.state import State
from theus.errors import ImmutableError, UnsupportedValueError
from theus.freezers.numpy_ import FrozenArray


def held(value: Any) -> Any:
    return State(data={"domain": {"a": value}}).domain.a


ARRAYS = {
    "matrix": np.arange(6).reshape(2, 3),
    "column order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(10)[::3],
    "reversed": np.arange(4)[::-1],
    "broadcast": np.broadcast_to(np.arange(3), (2, 3)),
    "empty": np.zeros((0, 3)),
    "scalar": np.array(5),
    "text": np.array(["a", "bb"]),
    "dates": np.array(["2013-01-01", "NaT"], "M8[D]"),
    "records": np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "big endian": np.arange(3, dtype=">i4"),
    "sub-class": np.rec.array([(1, 2)], dtype=[("a", int), ("b", int)]),
}
MUTATIONS = {
    "item": lambda array: array.__setitem__(..., 0),
    "flag": lambda array: array.setflags(write=True),
    "flags": lambda array: setattr(array.flags, "writeable", True),
    "flag of a view": lambda array: array[...].setflags(write=True),
    "flag of a plain view": lambda array: array.view(np.ndarray).setflags(write=True),
    "shape": lambda array: setattr(array, "shape", array.shape),
    "dtype": lambda array: setattr(array, "dtype", array.dtype),
    "strides": lambda array: setattr(array, "strides", array.strides),
    "new attribute": lambda array: setattr(array, "note", 1),
    "fill": lambda array: array.fill(0),
    "resize": lambda array: array.resize(array.size),
    "byteswap": lambda array: array.byteswap(True),
    "state": lambda array: array.__setstate__(np.arange(2).__reduce__()[2]),
    "copyto": lambda array: np.copyto(array, array.copy()),
    "put": lambda array: array.put([0], array.copy().flat[0]),
    "in place": lambda array: np.add(array, 0, out=array),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_out_equal(name: str) -> None:
    array = ARRAYS[name]
    out = held(array)
    np.testing.assert_array_equal(np.asarray(out), np.asarray(array))
    assert (out.shape, out.dtype) == (array.shape, np.asarray(array).dtype)
    assert not out.flags.writeable
    assert isinstance(out, np.ndarray)


@pytest.mark.parametrize("name", ["matrix", "column order", "records", "bool"])
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_it_cannot_be_changed(name: str, mutation: str) -> None:
    out = held(ARRAYS[name])
    before = out.copy()
    with pytest.raises((ValueError, TypeError, AttributeError, ImmutableError)):
        MUTATIONS[mutation](out)
    np.testing.assert_array_equal(out, before)
    assert out.shape == before.shape
    assert not out.flags.writeable


def test_it_is_detached_from_what_was_passed_in() -> None:
    array = np.arange(3)
    out = held(array)
    array[0] = 99
    assert out.tolist() == [0, 1, 2]


def test_column_order_is_kept() -> None:
    assert held(ARRAYS["column order"]).flags.f_contiguous


def test_one_version_to_the_next_shares_the_array() -> None:
    state = State(data={"domain": {"a": np.arange(3), "b": 1}})
    array = state.domain.a
    assert State(data={"domain": {"a": array}}).domain.a is array


@pytest.mark.parametrize(
    "make",
    [
        lambda array: array.copy(),
        copy.copy,
        copy.deepcopy,
        lambda array: pickle.loads(pickle.dumps(array)),
        lambda array: array + 1,
        lambda array: np.sqrt(array),
        lambda array: array > 1,
        lambda array: np.array(array),
    ],
)
def test_copies_and_results_are_ordinary(make: Any) -> None:
    made = make(held(np.arange(4.0)))
    assert type(made) is np.ndarray
    made[0] = 1
    assert made[0] == 1


def test_reductions_are_scalars() -> None:
    out = held(np.arange(4.0))
    for made in (out.sum(), out.mean(), out.max(), np.add.reduce(out), out[1], out @ out):
        assert isinstance(made, np.float64)
    assert float(out.sum()) == 6.0


def test_slices_are_frozen_and_copied_when_stored() -> None:
    out = held(np.arange(100.0))
    part = out[10:12]
    assert isinstance(part, FrozenArray)
    with pytest.raises(ValueError, match="read-only"):
        part[0] = 1
    again = held(part)
    assert again is not part
    assert again.base is not out
    assert again.tolist() == [10.0, 11.0]


def test_a_writable_array_of_the_class_is_copied() -> None:
    changeable = held(np.arange(3)).astype("f8")
    changeable[0] = 5
    out = held(changeable)
    changeable[0] = 6
    assert out.tolist() == [5.0, 1.0, 2.0]


@pytest.mark.parametrize("value", [np.float64(1.5), np.int8(3), np.str_("x"), np.dtype("i4")])
def test_scalars_and_dtypes_are_shared(value: Any) -> None:
    assert held(value) is value


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.array([{"a": 1}], dtype=object),
        np.array([(1, None)], [("a", "i4"), ("b", "O")]),
        np.ma.array([1], mask=[True]),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")])[0],
        np.random.default_rng(),
    ],
)
def test_what_could_change_unseen_is_refused(value: Any) -> None:
    with pytest.raises(UnsupportedValueError):
        held(value)


@given(
    npst.arrays(
        dtype=st.one_of(
            npst.integer_dtypes(),
            npst.floating_dtypes(),
            npst.boolean_dtypes(),
            npst.unicode_string_dtypes(max_len=4),
            npst.datetime64_dtypes(),
        ),
        shape=npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
def test_any_array_round_trips_bit_by_bit(array: Any) -> None:
    out = held(array)
    assert out.tobytes() == array.tobytes()
    assert (out.shape, out.dtype) == (array.shape, array.dtype)


@pytest.mark.parametrize(
    "write",
    [
        lambda a: np.add.at(a, [0], 1),
        lambda a: np.subtract.at(a[1:], [0], 1),
        lambda a: np.negative.at(a, [0]),
        lambda a: np.add(a, 1, out=a),
        lambda a: np.add(a, 1, out=(a,)),
        lambda a: np.add.reduce(a, axis=0, keepdims=True, out=a[:1]),
    ],
)
def test_ufuncs_do_not_write_to_frozen_memory(write):
    array = State({"domain": {"a": np.arange(3)}}).domain.a
    with pytest.raises((ImmutableError, ValueError)):
        write(array)
    assert array.tolist() == [0, 1, 2]
    assert type(array + array) is np.ndarray
    assert (array + 1).tolist() == [1, 2, 3]
    assert np.add.outer(array, array)[2, 2] == 4
