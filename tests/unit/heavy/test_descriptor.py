"""BufferDescriptor: frozen, hashable, JSON-able, and never pointing outside its segment."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus.heavy.descriptor import BufferDescriptor, c_strides, extent, layout

FULL = BufferDescriptor(
    "theus:s:1:k", 4096, (3, 4), "float64", 64, (-8, 64), generation=2, readonly=False, key="k"
)


def test_the_original_call_form_still_works():
    made = BufferDescriptor("psm_1", 40, (10,), "float32")
    assert (made.name, made.size, made.shape, made.dtype) == ("psm_1", 40, (10,), "float32")
    assert (made.offset, made.strides, made.generation, made.readonly) == (0, None, 0, True)
    assert made.nbytes == 40


def test_it_is_frozen_hashable_and_comparable():
    again = BufferDescriptor(**{**FULL.to_dict(), "shape": [3, 4], "strides": [-8, 64]})
    assert again == FULL
    assert hash(again) == hash(FULL)
    assert len({FULL, again}) == 1
    with pytest.raises(FrozenInstanceError):
        FULL.size = 1


def test_every_way_of_copying_gives_an_equal_one():
    assert BufferDescriptor.from_dict(json.loads(json.dumps(FULL.to_dict()))) == FULL
    assert pickle.loads(pickle.dumps(FULL)) == FULL
    assert copy.deepcopy(FULL) == FULL


@pytest.mark.parametrize("dtype", ["<f8", float, np.float64, np.dtype("f8"), "float64"])
def test_every_spelling_of_a_dtype_is_the_same_descriptor(dtype):
    made = BufferDescriptor("n", 80, (10,), dtype)
    assert made == BufferDescriptor("n", 80, (10,), "float64")
    assert made.numpy_dtype == np.dtype("f8")


def test_strides_of_c_order_are_left_out():
    made = BufferDescriptor("n", 96, (3, 4), "f8", strides=(32, 8))
    assert made.strides is None


def test_empty_arrays_need_no_bytes():
    assert BufferDescriptor("n", 0, (0, 5), "f8").nbytes == 0
    assert BufferDescriptor("n", 8, (), "f8").nbytes == 8


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": "a/b"}, ValueError),
        ({"name": ""}, ValueError),
        ({"name": None}, ValueError),
        ({"size": -1}, ValueError),
        ({"size": 2**63}, ValueError),
        ({"size": "40"}, TypeError),
        ({"size": True}, TypeError),
        ({"shape": (-1,)}, ValueError),
        ({"shape": (-4, -8)}, ValueError),
        ({"shape": (2**40, 2**40)}, ValueError),
        ({"shape": (1.5,)}, TypeError),
        ({"shape": ("3",)}, TypeError),
        ({"shape": "33"}, TypeError),
        ({"shape": None}, TypeError),
        ({"shape": (1,) * 65}, ValueError),
        ({"shape": (513,)}, ValueError),
        ({"dtype": "O"}, TypeError),
        ({"dtype": "nonsense"}, TypeError),
        ({"dtype": None, "shape": (600,)}, ValueError),
        ({"offset": 4096}, ValueError),
        ({"offset": -8}, ValueError),
        ({"offset": 2.0}, TypeError),
        ({"strides": (8, 8)}, ValueError),
        ({"strides": (-8,)}, ValueError),
        ({"strides": (2**40,)}, ValueError),
        ({"strides": 8}, TypeError),
        ({"generation": -1}, ValueError),
        ({"readonly": 1}, TypeError),
        ({"key": None}, TypeError),
    ],
    ids=str,
)
def test_what_would_lead_outside_is_refused(change, error):
    fields = {"name": "n", "size": 4096, "shape": (10,), "dtype": "float64"}
    with pytest.raises(error):
        BufferDescriptor(**{**fields, **change})


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": "n", "size": 8, "shape": []},
        {"name": "n", "size": 8, "shape": [], "dtype": "f8", "evil": 1},
        {"name": "n", "size": 8, "shape": [], "dtype": "f8", 3: 1},
    ],
)
def test_mappings_with_missing_or_unknown_fields_are_refused(data):
    with pytest.raises(ValueError, match="not a descriptor"):
        BufferDescriptor.from_dict(data)


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_what_is_no_mapping_is_refused(data):
    with pytest.raises(TypeError, match="mapping"):
        BufferDescriptor.from_dict(data)


@given(st.data())
def test_the_extent_is_what_numpy_touches(data):
    base = np.zeros((4, 5, 6), data.draw(st.sampled_from(["u1", "f8", "V3"])))
    view = base
    for axis in range(3):
        start = data.draw(st.integers(0, view.shape[axis] - 1))
        step = data.draw(st.integers(1, 3)) * data.draw(st.sampled_from([1, -1]))
        view = view[(slice(None),) * axis + (slice(start, None, step),)]
    view = view.transpose(data.draw(st.permutations(range(3))))
    low, high = extent(view.shape, view.strides, view.itemsize)
    first, last = np.lib.array_utils.byte_bounds(view) if _NUMPY_2 else np.byte_bounds(view)
    start = view.__array_interface__["data"][0]
    assert (start + low, start + high) == (first, last)


_NUMPY_2 = np.lib.NumpyVersion(np.__version__) >= "2.0.0"


@given(st.lists(st.integers(1, 5), max_size=4), st.sampled_from(["u1", "f8", "V3"]))
def test_c_strides_are_those_of_numpy(shape, dtype):
    assert c_strides(shape, np.dtype(dtype).itemsize) == np.empty(shape, dtype).strides


def test_the_layout_takes_lengths_and_sub_array_types_as_numpy_does():
    assert layout(7, "i4") == ((7,), np.dtype("i4"), 28)
    assert layout(np.int64(7), "i4") == ((7,), np.dtype("i4"), 28)
    assert layout([2, 3], ("f8", (4,))) == ((2, 3, 4), np.dtype("f8"), 192)
    assert layout((), "U3") == ((), np.dtype("U3"), 12)
    assert layout((0, 2**40), "f8") == ((0, 2**40), np.dtype("f8"), 0)
