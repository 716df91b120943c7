"""ShmArray in one process: what is a view of the segment, what is ordinary data."""

from __future__ import annotations

import copy
import gc
import pickle
import secrets
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from theus.errors import HeavyGoneError, HeavyReadOnlyError, HeavyZoneError
from theus.heavy import BufferDescriptor, ShmArray, attach_array, rebuild_shm_array

RECORD = np.dtype([("x", "i4"), ("y", "f8")])
VIEWS = {
    "whole": lambda a: a,
    "slice": lambda a: a[10:14],
    "step": lambda a: a[::25],
    "reversed": lambda a: a[::-3],
    "element": lambda a: a[5:6],
    "0-d": lambda a: a[7, ...],
    "2-d": lambda a: a.reshape(10, 10),
    "transposed": lambda a: a.reshape(10, 10).T,
    "F block": lambda a: a.reshape(10, 10)[2:5, 1:3].T,
    "diagonal": lambda a: a.reshape(10, 10).diagonal(),
    "broadcast": lambda a: np.broadcast_to(a[:4], (3, 4), subok=True),
    "new axis": lambda a: a[None, 3:9, None],
    "real part": lambda a: a.view("c16").real,
    "other type": lambda a: a.view("u4")[4:9],
    "swapped bytes": lambda a: a.view(">f8"),
    "records": lambda a: a[:96].view([("p", "f8"), ("q", "i8", (2,))])[1:9],
    "field": lambda a: a[:96].view([("p", "f8"), ("q", "i8", (2,))])["p"],
    "two fields": lambda a: a[:96].view([("p", "f8"), ("q", "i8"), ("r", "f8")])[["p", "r"]],
    "strided window": lambda a: np.lib.stride_tricks.sliding_window_view(a, 5, subok=True),
}
DATA = {
    "product": lambda a: a * 2,
    "astype": lambda a: a.astype("i4"),
    "same astype": lambda a: a.astype(a.dtype),
    "copy": lambda a: a.copy(),
    "np.copy": lambda a: np.array(a, subok=True),
    "copy.copy": copy.copy,
    "deepcopy": lambda a: copy.deepcopy(a) + 1,
    "fancy": lambda a: a[[1, 5, 9]],
    "mask": lambda a: a[a > 50],
    "flatten": lambda a: a.reshape(10, 10).T.flatten(),
    "ravel of a transpose": lambda a: a.reshape(10, 10).T.ravel(),
    "keepdims": lambda a: a.max(keepdims=True),
    "ufunc": lambda a: np.add(a, 1),
    "where": lambda a: np.where(a > 3, a, 0),
    "concatenate": lambda a: np.concatenate([a, a]),
    "empty slice": lambda a: a[3:3],
    "sort": np.sort,
    "take": lambda a: a.take([1, 2]),
    "empty_like": lambda a: np.zeros_like(a),
    "cumsum": lambda a: a.cumsum(),
    "view of a copy": lambda a: np.array(a, subok=True)[3:9],
}


@pytest.fixture
def array(zone):
    made = zone.alloc("x", 100)
    made[:] = np.arange(100)
    return made


def same(got, want):
    want = np.asarray(want)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert np.asarray(got).tobytes() == want.tobytes()


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("case", VIEWS)
def test_views_travel_as_passports(array, case, protocol):
    view = VIEWS[case](array)
    message = pickle.dumps(view, protocol)
    assert len(message) < 400
    got = pickle.loads(message)
    same(got, view)
    assert type(got) is ShmArray
    long = [axis for axis, length in enumerate(view.shape) if length > 1]
    assert [got.strides[axis] for axis in long] == [view.strides[axis] for axis in long]
    assert np.shares_memory(got, array)
    assert got.flags.writeable == view.flags.writeable


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("case", DATA)
def test_what_is_no_view_travels_as_itself(array, case, protocol):
    value = DATA[case](array)
    want = np.array(value)
    got = pickle.loads(pickle.dumps(value, protocol))
    same(got, want)
    assert not np.shares_memory(got, array)
    assert got.flags.writeable


@pytest.mark.parametrize("case", ["product", "copy", "copy.copy", "ufunc", "keepdims", "cumsum"])
def test_results_are_plain_arrays(array, case):
    assert type(DATA[case](array)) is np.ndarray


def test_what_lies_in_the_segment_knows_it(array):
    assert array.shm.name == array[4:9].T.shm.name
    assert array.astype("i4").shm is None
    assert array[[1, 2]].shm is None
    assert array[2:2].shm is None
    assert array[[1, 2]].descriptor() is None
    assert array[5:9].descriptor().offset == 40


def test_a_view_that_reaches_beyond_the_segment_is_no_passport(array):
    beyond = as_strided(array[98:], (4,), (8,), subok=True)  # still inside its last page
    assert beyond.descriptor() is None
    assert pickle.loads(pickle.dumps(beyond)).tolist() == [98, 99, 0, 0]


def test_results_of_single_elements_are_scalars(array):
    for value in (array.sum(), array[3], array.max(), np.dot(array, array), array[4, ...] + 1):
        assert isinstance(value, np.float64)


def test_results_written_in_place_stay_in_the_segment(array):
    before = array
    array += 1
    assert array is before
    assert np.add(array, 1, out=array) is array
    assert array[0] == 2
    assert array.descriptor() is not None


def test_a_copy_outlives_everything_and_is_writable(zone, array):
    taken = array.copy()
    zone.cleanup()
    taken[0] = 5
    assert taken.sum() == 4955


def test_arrays_and_plain_views_outlive_the_zone(zone, array):
    borrowed = attach_array(zone.descriptor("x"))
    views = [array[1:3], np.asarray(array), np.asarray(borrowed), memoryview(borrowed)]
    zone.cleanup()
    del borrowed, array
    gc.collect()
    assert [float(view[1]) for view in views] == [2, 1, 1, 1]


def test_subclasses_come_back_as_what_they_were(array):
    mine = array.view(Marked)
    got = pickle.loads(pickle.dumps(mine[3:9]))
    assert type(got) is Marked
    assert np.shares_memory(got, array)
    data = pickle.loads(pickle.dumps(mine[[1, 2]]))
    assert type(data) is Marked
    same(data, [1.0, 2.0])


class Marked(ShmArray):
    """A subclass of a user."""


def test_foreign_subclasses_are_copied_right(array):
    records = array[:96].view([("p", "f8"), ("q", "f8")]).view(np.recarray)
    got = pickle.loads(pickle.dumps(records))
    assert type(got) is np.recarray
    same(got.p, records.p)
    masked = np.ma.masked_array(array, array > 3)
    back = pickle.loads(pickle.dumps(masked))
    assert back.sum() == masked.sum() == 6


def test_a_freed_array_comes_back_in_its_own_process_while_it_lives(zone):
    array = zone.put("x", np.arange(10.0))
    message = pickle.dumps(array)
    zone.free("x")
    assert pickle.loads(message)[5] == 5
    del array
    gc.collect()
    with pytest.raises(HeavyGoneError, match="'x'"):
        pickle.loads(message)


def test_writing_where_one_may_only_read_says_what_to_do(zone, array):
    view = attach_array(zone.descriptor("x"))
    with pytest.raises(HeavyReadOnlyError, match=r"'x'.*copy\(\)") as caught:
        view[0] = 1
    assert isinstance(caught.value, ValueError)
    assert caught.value.key == "x"
    with pytest.raises(ValueError):
        np.add(view, 1, out=view)
    assert array[0] == 0


def test_write_through_is_had_by_asking(zone, array):
    attach_array(zone.descriptor("x"), readonly=False)[3] = 77
    assert array[3] == 77


# --- standard SharedMemory as the base ----------------------------------------------------


@pytest.fixture
def plain():
    segment = SharedMemory(create=True, size=4096)
    yield segment
    segment.close()
    segment.unlink()


def test_a_standard_segment_can_be_the_base(plain):
    source = np.ndarray((10,), "f8", buffer=plain.buf, offset=80)
    source[:] = np.arange(10)
    wrapped = ShmArray(source, shm=plain)
    assert wrapped.shm is plain
    got = pickle.loads(pickle.dumps(wrapped[2:5]))
    same(got, [2.0, 3.0, 4.0])
    wrapped[3] = 40
    assert got[1] == source[3] == 40
    got[0] = 20
    assert source[2] == 20


def test_it_stays_valid_when_the_standard_segment_is_closed(plain):
    wrapped = ShmArray(np.ndarray((10,), "f8", buffer=plain.buf), shm=plain)
    wrapped[:] = 4
    plain.close()
    assert wrapped.sum() == 40


def test_a_reused_name_is_never_taken_for_the_old_segment():
    name = f"theus_test_reused_{secrets.token_hex(4)}"
    first = SharedMemory(name, create=True, size=4096)
    old = ShmArray(np.ndarray((4,), "f8", buffer=first.buf), shm=first)
    old[:] = 1
    passport = pickle.dumps(old)
    borrowed = rebuild_shm_array(name, (4,), "f8")
    first.close()
    first.unlink()
    second = SharedMemory(name, create=True, size=4096)
    try:
        np.ndarray((4,), "f8", buffer=second.buf)[:] = 2
        assert rebuild_shm_array(name, (4,), "f8").tolist() == [2.0] * 4
        assert pickle.loads(passport).tolist() == [2.0] * 4
        assert borrowed.tolist() == old.tolist() == [1.0] * 4
    finally:
        second.close()
        second.unlink()


def test_data_that_is_not_in_the_given_segment_is_ordinary(plain):
    wrapped = ShmArray(np.arange(4.0), shm=plain)
    assert wrapped.shm is None
    same(pickle.loads(pickle.dumps(wrapped)), np.arange(4.0))
    assert ShmArray([1, 2]).shm is None


# --- damaged passports --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"offset": 801}, ValueError),
        ({"offset": -8}, ValueError),
        ({"shape": (101,)}, ValueError),
        ({"shape": (-1,)}, ValueError),
        ({"shape": (2**62,)}, ValueError),
        ({"shape": (2**62,), "strides": (0,)}, ValueError),
        ({"strides": (-8,)}, ValueError),
        ({"strides": (16,)}, ValueError),
        ({"dtype": "O"}, TypeError),
        ({"dtype": "c16"}, ValueError),
        ({"name": "theus:0123456789abcdef:1:stranger"}, HeavyGoneError),
        ({"name": "../etc/passwd"}, ValueError),
        ({"cls": dict}, TypeError),
    ],
    ids=str,
)
def test_damaged_passports_are_refused(zone, array, change, error):
    passport = {"name": zone.descriptor("x").name, "shape": (100,), "dtype": "f8"}
    with pytest.raises(error):
        rebuild_shm_array(**{**passport, **change})


def test_a_descriptor_with_a_lying_size_is_refused(zone):
    zone.alloc("x", 10)
    name = zone.descriptor("x").name
    with pytest.raises(HeavyZoneError, match="80 bytes and 160"):
        attach_array(BufferDescriptor(name, 160, (20,), "f8"), readonly=True)


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0)])
def test_empty_arrays_travel_too(zone, shape):
    made = zone.alloc("nothing", shape, "i4")
    same(pickle.loads(pickle.dumps(made)), np.empty(shape, "i4"))
    got = attach_array(zone.descriptor("nothing"))
    assert got.shape == shape
    assert not got.flags.writeable
