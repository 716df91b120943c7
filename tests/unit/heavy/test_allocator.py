"""HeavyZoneAllocator: keys, generations, capacity, ownership and cleaning up."""

from __future__ import annotations

import gc
import os
import pickle
import re
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.unit.heavy.helpers import SHM, names_of
from theus.errors import HeavyGoneError, HeavyZoneError, HeavyZoneFullError
from theus.heavy import HeavyZoneAllocator, ManagedAllocator, MemoryRegistry
from theus.heavy.opening import probe
from theus.heavy.segment import PAGE, Segment


def test_an_array_is_zeroed_writable_and_named(zone):
    array = zone.alloc("frame", (3, 4), np.float32)
    assert (array.shape, array.dtype) == ((3, 4), np.dtype("f4"))
    assert not array.any()
    array[1, 2] = 5
    assert zone.get("frame") is array
    assert array.shm.name == f"theus:{zone.session}:{os.getpid()}:frame"
    assert names_of(zone.session) == {array.shm.name}
    assert array.ctypes.data % 64 == 0


def test_the_default_is_float64_and_a_length_is_a_shape(zone):
    assert zone.alloc("x", 5).dtype == np.dtype("f8")
    assert zone.alloc("y", ()).shape == ()
    assert zone.alloc("z", np.int64(3)).shape == (3,)
    assert zone.alloc("s", (2,), ("i4", (3,))).shape == (2, 3)


@pytest.mark.parametrize("key", ["a/b", "..", ".", "k" * 300, "dữ_liệu", "a\nb", "a:b", " ", "-"])
def test_any_text_is_a_key(zone, key):
    zone.put(key, [1.0, 2.0])
    assert zone.get(key).tolist() == [1.0, 2.0]
    assert key in zone
    assert list(zone) == [key]
    assert len(names_of(zone.session)) == 1
    assert zone.descriptor(key).key == key


@pytest.mark.parametrize(("key", "error"), [("", ValueError), ("a\0", ValueError), (3, TypeError)])
def test_what_is_no_key_is_refused(zone, key, error):
    with pytest.raises(error, match="heavy key"):
        zone.alloc(key, 1)
    with pytest.raises(error, match="heavy key"):
        zone.put(key, [1])


def test_the_same_key_again_is_a_new_generation(zone):
    first = zone.alloc("x", 4)
    first[:] = 7
    second = zone.alloc("x", 8)
    assert first.tolist() == [7] * 4
    assert second.tolist() == [0] * 8
    assert zone.get("x") is second
    assert [one.generation for one in (zone.descriptor("x"), second.descriptor())] == [2, 2]
    assert len(zone) == 1
    assert names_of(zone.session) == {first.shm.name, second.shm.name}  # it can still be sent
    del first
    assert names_of(zone.session) == {second.shm.name}


def test_generations_go_on_after_a_free(zone):
    names = set()
    for _ in range(5):
        zone.alloc("x", 1)
        names.add(zone.descriptor("x").name)
        zone.free("x")
    assert len(names) == 5
    assert zone.alloc("x", 1).descriptor().generation == 6


def test_a_name_a_stranger_has_is_left_to_the_stranger(zone):
    stranger = Segment(f"theus:{zone.session}:{os.getpid()}:x", 10)
    stranger.buf[0] = 1
    try:
        array = zone.alloc("x", 4)
        array[:] = 9
        assert re.fullmatch(r"th[0-9a-f]{8}_[0-9a-v]{12}", array.shm.name)
        assert stranger.buf[0] == 1
        zone.cleanup()
        assert probe(stranger.name) is not None
    finally:
        stranger.unlink()


def test_a_capacity_beyond_the_file_system_still_ends_in_a_clear_error(directory):
    registry = MemoryRegistry(directory=directory)
    with HeavyZoneAllocator(registry=registry, capacity_bytes=1 << 60) as zone:
        with pytest.raises(HeavyZoneFullError, match="no room for it"):
            zone.alloc("x", 1 << 50, "u1")
        assert (registry.entries, zone.stats().used, list(zone)) == ((), 0, [])
        zone.alloc("x", 1)


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ((-1,), ValueError),
        ((-4, -8), ValueError),
        ((2**40, 2**40), ValueError),
        ((2**33, 2**33), ValueError),
        ((1.5,), TypeError),
        (("3",), TypeError),
        ("3", TypeError),
        (None, TypeError),
        ((True,), TypeError),
    ],
)
def test_shapes_that_cannot_be_are_refused(zone, shape, error):
    with pytest.raises(error):
        zone.alloc("x", shape)
    assert "x" not in zone
    assert names_of(zone.session) == set()


@pytest.mark.parametrize("dtype", [object, [("a", "i4"), ("o", object)], "S", "nonsense"])
def test_types_that_cannot_be_shared_are_refused(zone, dtype):
    with pytest.raises(TypeError):
        zone.alloc("x", 3, dtype)
    assert names_of(zone.session) == set()


def test_empty_arrays_take_no_segment(zone):
    array = zone.alloc("x", (0, 5), "i4")
    assert array.shape == (0, 5)
    assert names_of(zone.session) == set()
    assert zone.stats().used == 0
    assert zone.descriptor("x").size == 0
    zone.free("x")


# --- put ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        np.arange(12).reshape(3, 4).T,
        np.arange(10)[::-3],
        np.array(["a", "bcd"]),
        np.array([(1, 2.0)], [("i", "i4"), ("f", ">f8")]),
        np.array("2013-01-01", "M8[D]"),
        [[1, 2], [3, 4]],
        3.5,
        np.array([], "f4"),
    ],
    ids=repr,
)
def test_putting_copies_values_type_and_shape(zone, source):
    array = zone.put("x", source)
    want = np.asarray(source)
    assert (array.dtype, array.shape) == (want.dtype, want.shape)
    assert (np.asarray(array) == want).all()
    assert not np.shares_memory(array, want)
    assert array.flags.c_contiguous


def test_masked_arrays_and_objects_are_refused_by_name(zone):
    with pytest.raises(TypeError, match="masked"):
        zone.put("x", np.ma.masked_array([1, 2], [True, False]))
    with pytest.raises(TypeError, match="object"):
        zone.put("x", [object()])
    assert "x" not in zone


def test_putting_what_does_not_fit_changes_nothing(zone):
    zone.put("x", [1.0])
    with pytest.raises(HeavyZoneFullError):
        zone.put("x", np.zeros(65 << 20, "u1"))
    assert zone.get("x").tolist() == [1.0]
    assert len(names_of(zone.session)) == 1


def test_a_key_may_be_put_from_its_own_array(zone):
    zone.put("x", np.arange(5.0))
    assert zone.put("x", zone.get("x")[::-1]).tolist() == [4, 3, 2, 1, 0]


# --- get, free ----------------------------------------------------------------------------


def test_a_key_that_is_not_there_says_which_are(zone):
    zone.alloc("here", 1)
    for call in (zone.get, zone.descriptor, zone.free):
        with pytest.raises(HeavyGoneError, match=r"no heavy array 'x'.*'here'") as caught:
            call("x")
        assert isinstance(caught.value, LookupError)


def test_freeing_takes_the_name_and_leaves_views(zone):
    array = zone.put("x", [1.0, 2.0])
    name = array.shm.name
    zone.free("x")
    assert probe(name) is None
    assert array.tolist() == [1.0, 2.0]
    array[0] = 9
    assert "x" not in zone


def test_descriptors_are_passports(zone):
    array = zone.alloc("x", (2, 3), ">i4")
    found = zone.descriptor("x")
    assert (found.key, found.size, found.shape, found.dtype) == ("x", 24, (2, 3), ">i4")
    assert found.readonly and found.generation == 1
    assert array.descriptor().name == found.name


# --- capacity and accounting --------------------------------------------------------------


def small_zone(directory, pages):
    return HeavyZoneAllocator(
        registry=MemoryRegistry(directory=directory), capacity_bytes=pages * PAGE
    )


def test_capacity_is_hard_and_the_error_says_all(directory):
    with small_zone(directory, 4) as zone:
        zone.alloc("a", PAGE, "u1")
        zone.alloc("b", 2 * PAGE, "u1")
        with pytest.raises(HeavyZoneFullError, match=r"8,192 bytes asked, 4,096 free of") as caught:
            zone.alloc("c", 2 * PAGE, "u1")
        error = caught.value
        assert (error.asked, error.free, error.limit) == (2 * PAGE, PAGE, 4 * PAGE)
        assert error.holders == (("b", 2 * PAGE), ("a", PAGE))
        assert "THEUS_HEAP_SIZE" in str(error)
        assert "c" not in zone
        zone.free("b")
        zone.alloc("c", 2 * PAGE, "u1")


def test_what_is_freed_but_viewed_still_counts(directory):
    with small_zone(directory, 2) as zone:
        view = np.asarray(zone.alloc("a", PAGE, "u1"))[:10]
        zone.alloc("b", PAGE, "u1")
        zone.free("a")
        assert (zone.stats().used, zone.stats().lingering) == (PAGE, PAGE)
        with pytest.raises(HeavyZoneFullError, match="4,096 bytes are freed but still viewed"):
            zone.alloc("c", 1)
        assert view[0] == 0
        del view
        gc.collect()
        assert zone.stats().lingering == 0
        zone.alloc("c", 1)


def mapped(name):
    return name in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize(
    "derive",
    [
        lambda a: a.astype("f4"),
        lambda a: a[[1, 2]],
        lambda a: a[a == 0],
        lambda a: a + 1,
        lambda a: np.zeros_like(a),
    ],
)
def test_results_do_not_keep_a_freed_segment_mapped(zone, derive):
    array = zone.alloc("x", 100)
    name = array.shm.name
    result = derive(array)
    assert mapped(name)
    del array
    zone.free("x")
    gc.collect()
    assert not mapped(name)
    assert result.size


def test_stats_add_up(zone):
    zone.alloc("a", 1)
    zone.alloc("b", PAGE + 1, "u1")
    zone.free("a")
    found = zone.stats()
    assert (found.session, found.arrays, found.used) == (zone.session, 1, 2 * PAGE)
    assert (found.peak, found.allocated, found.freed) == (3 * PAGE, 2, 1)
    assert found.free == found.capacity - found.used == zone.capacity - 2 * PAGE


def test_a_negative_capacity_is_refused(directory):
    with pytest.raises(ValueError, match="capacity"):
        HeavyZoneAllocator(capacity_bytes=-1)


# --- end ----------------------------------------------------------------------------------


def test_cleaning_up_is_idempotent_and_leaves_views(zone):
    array = zone.put("x", [1.0, 2.0])
    zone.cleanup()
    zone.cleanup()
    assert names_of(zone.session) == set()
    assert array.sum() == 3
    assert len(zone) == 0
    assert zone.registry.path is None


def test_a_zone_can_be_used_after_cleaning_up(zone):
    zone.alloc("x", 1)
    zone.cleanup()
    again = zone.alloc("x", 2)
    assert again.descriptor().generation == 2
    assert names_of(zone.session) == {again.shm.name}


def test_the_block_cleans_up_also_after_an_error(directory):
    with pytest.raises(KeyError), small_zone(directory, 4) as zone:
        zone.alloc("x", 1)
        raise KeyError
    assert names_of(zone.session) == set()


def test_a_zone_that_is_forgotten_cleans_up(directory):
    zone = small_zone(directory, 4)
    array = zone.alloc("x", 3)
    session, gone = zone.session, weakref.ref(zone)
    del zone
    gc.collect()
    assert gone() is None
    assert names_of(session) == set()
    assert array.tolist() == [0] * 3


def test_it_is_also_called_managed_allocator():
    assert ManagedAllocator is HeavyZoneAllocator


def test_it_touches_nothing_before_the_first_array(directory):
    zone = small_zone(directory, 1)
    assert not directory.exists()
    zone.cleanup()
    assert not directory.exists()


def test_it_cannot_be_pickled_and_says_what_can(zone):
    with pytest.raises(TypeError, match="arrays or descriptors"):
        pickle.dumps(zone)


def test_repr_names_session_and_use(zone):
    zone.alloc("x", 1)
    assert repr(zone) == (
        f"<HeavyZoneAllocator theus:{zone.session}:{os.getpid()} 1 arrays, "
        f"4,096 of {64 << 20:,} bytes>"
    )


def test_session_and_registry_must_agree(directory):
    registry = MemoryRegistry("mine", directory)
    assert HeavyZoneAllocator("mine", registry).session == "mine"
    with pytest.raises(ValueError, match="'other'"):
        HeavyZoneAllocator("other", registry)
    with pytest.raises(ValueError, match="session"):
        HeavyZoneAllocator("a:b")


def test_two_zones_of_one_session_do_not_meet(directory):
    with (
        HeavyZoneAllocator(registry=MemoryRegistry("twice", directory)) as one,
        HeavyZoneAllocator(registry=MemoryRegistry("twice", directory)) as two,
    ):
        first, second = one.put("x", [1.0]), two.put("x", [2.0])
        assert first.shm.name != second.shm.name
        assert len(list(directory.iterdir())) == 2
        one.cleanup()
        assert (SHM / second.shm.name).exists()
    assert list(directory.iterdir()) == []


def test_two_zones_can_share_a_registry(directory):
    registry = MemoryRegistry(directory=directory)
    one, two = (HeavyZoneAllocator(registry=registry) for _ in range(2))
    one.alloc("x", 1)
    two.alloc("y", 1)
    one.cleanup()
    assert registry.entries == (two.descriptor("y").name,)
    two.cleanup()
    assert list(directory.iterdir()) == []


def test_a_registry_that_cannot_be_used_stops_before_anything_is_made(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    zone = HeavyZoneAllocator(registry=MemoryRegistry(directory=blocked))
    with pytest.raises(HeavyZoneError, match="registry directory"):
        zone.alloc("x", 1)
    assert names_of(zone.session) == set()
    assert len(zone) == 0


def test_threads_share_a_zone(zone):
    errors = []

    def work(number):
        try:
            for step in range(20):
                array = zone.put(f"k{number}", np.full(100, number * 100 + step))
                assert (array == number * 100 + step).all()
                zone.put("shared", np.full(10, number))
                assert len(set(zone.get("shared").tolist())) == 1
            zone.free(f"k{number}")
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    gc.collect()
    assert list(zone) == ["shared"]
    assert zone.stats().used == PAGE
    assert zone.stats().lingering == 0
    assert len(names_of(zone.session)) == 1


class ZoneMachine(RuleBasedStateMachine):
    """Any order of calls: keys, values, accounting and names stay as in a plain dictionary."""

    directory: str

    @initialize(pages=st.integers(2, 12))
    def start(self, pages):
        registry = MemoryRegistry(directory=self.directory, scan=False)
        self.zone = HeavyZoneAllocator(registry=registry, capacity_bytes=pages * PAGE)
        self.model = {}
        self.views = []
        self.freed = set()

    keys = st.sampled_from(["a", "b", "c/d", "ü"])

    @rule(key=keys, size=st.integers(0, 3 * PAGE))
    def put(self, key, size):
        value = np.arange(size, dtype="u1")
        try:
            self.zone.put(key, value)
        except HeavyZoneFullError as error:
            assert error.asked == size
            gc.collect()
            found = self.zone.stats()
            assert -(-size // PAGE) * PAGE > found.free or found.lingering < error.limit
        else:
            self.model[key] = value

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def free(self, data):
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.freed.add(self.zone.descriptor(key).name)
        self.zone.free(key)
        del self.model[key]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def hold(self, data):
        key = data.draw(st.sampled_from(sorted(self.model)))
        view = np.asarray(self.zone.get(key))[:50]
        name = self.zone.descriptor(key).name if view.size else None
        self.views.append((view, self.model[key][:50].copy(), name))

    @rule()
    def let_go(self):
        self.views.clear()

    @rule()
    def clean(self):
        self.freed |= names_of(self.zone.session)
        self.zone.cleanup()
        self.model.clear()

    @invariant()
    def all_is_as_modelled(self):
        if not hasattr(self, "zone"):
            return
        assert set(self.zone) == set(self.model)
        for key, value in self.model.items():
            assert np.asarray(self.zone.get(key)).tobytes() == value.tobytes()
        for view, value, _ in self.views:
            assert view.tobytes() == value.tobytes()
        found = self.zone.stats()
        assert found.used == sum(-(-value.size // PAGE) * PAGE for value in self.model.values())
        assert found.used + found.lingering <= found.capacity
        live = {self.zone.descriptor(key).name for key in self.model if self.model[key].size}
        live |= {name for _, _, name in self.views if name} - self.freed  # replaced, still held
        assert names_of(self.zone.session) == live == set(self.zone.registry.entries)

    def teardown(self):
        if hasattr(self, "zone"):
            self.views.clear()
            self.zone.cleanup()
            gc.collect()
            assert self.zone.stats().lingering == 0
            assert names_of(self.zone.session) == set()


def test_any_order_of_calls(directory):

    ZoneMachine.directory = str(directory)
    run_state_machine_as_test(
        ZoneMachine, settings=settings(max_examples=20, stateful_step_count=20)
    )
