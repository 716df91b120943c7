"""Arrays of the state inside a process: read without copying, written as any other place."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theus import TheusEngine, process
from theus.contracts import AdminTransaction, SemanticType
from theus.errors import (
    ConflictError,
    ContractViolationError,
    ImmutableError,
    InvariantViolationError,
    TransactionStateError,
)
from theus.freezers.numpy_ import FrozenArray


def matrix() -> Any:
    return np.arange(12.0).reshape(3, 4)


@pytest.fixture
def engine() -> Any:
    content = {"a": matrix(), "b": np.arange(3), "rows": [np.zeros(2), np.ones(2)], "n": 0}
    with TheusEngine({"domain": content}) as made:
        yield made


def run(engine: TheusEngine, body: Callable[[Any], Any], **contract: Any) -> Any:
    given = {"inputs": [], "outputs": ["domain"], "name": "change", **contract}

    @process(**given)
    def change(ctx: Any) -> Any:
        return body(ctx)

    engine.register(change)
    return engine.run("change")


WRITES: dict[str, Callable[[Any], Any]] = {
    "item": lambda a: a.__setitem__((1, 2), 99),
    "row": lambda a: a.__setitem__(0, 5),
    "slice": lambda a: a.__setitem__((slice(None), 1), [7, 8, 9]),
    "mask": lambda a: a.__setitem__(a > 5, 0),
    "fancy": lambda a: a.__setitem__([0, 2], 1),
    "ellipsis": lambda a: a.__setitem__(..., 3),
    "iadd": lambda a: a.__iadd__(1),
    "isub array": lambda a: a.__isub__(matrix() / 2),
    "imul": lambda a: a.__imul__(3),
    "itruediv": lambda a: a.__itruediv__(2),
    "ipow": lambda a: a.__ipow__(2),
    "imod": lambda a: a.__imod__(5),
    "out": lambda a: np.add(a, 1, out=a),
    "out tuple": lambda a: np.multiply(a, 2, out=(a,)),
    "ufunc at": lambda a: np.add.at(a, ([0, 1], [1, 2]), 10),
    "function out": lambda a: np.clip(a, 2, 6, out=a),
    "copyto": lambda a: np.copyto(a, 4),
    "put": lambda a: np.put(a, [0, 5], [-1, -2]),
    "putmask": lambda a: np.putmask(a, a > 3, 0),
    "place": lambda a: np.place(a, a < 3, [8]),
    "fill_diagonal": lambda a: np.fill_diagonal(a, 7),
    "fill": lambda a: a.fill(6),
    "sort": lambda a: a.sort(axis=0),
    "partition": lambda a: a.partition(1),
    "method put": lambda a: a.put([1], [44]),
    "part of a row": lambda a: a[1].__setitem__(0, 33),
    "part of a part": lambda a: a[1:][0].__setitem__(slice(1, 3), 21),
    "row iadd": lambda a: a[2].__iadd__(5),
    "transposed": lambda a: a.T.__setitem__((0, 1), 17),
    "reshaped": lambda a: a.reshape(4, 3).__setitem__((3, 2), 18),
    "raveled": lambda a: a.ravel().__setitem__(0, 19),
    "swapped": lambda a: a.swapaxes(0, 1).fill(2),
    "iterated": lambda a: [row.fill(number) for number, row in enumerate(a)],
    "real": lambda a: setattr(a, "real", 3),
    "augmented item": lambda a: a.__setitem__(0, a[0] + a[1]),
}


@pytest.mark.parametrize("how", WRITES)
def test_a_write_is_that_of_an_array(engine: TheusEngine, how: str) -> None:
    expected = matrix()
    WRITES[how](expected)

    def body(ctx: Any) -> None:
        WRITES[how](ctx.domain.a)
        seen.append(np.array(ctx.domain.a))

    seen: list[Any] = []
    before = engine.state
    run(engine, body)
    np.testing.assert_array_equal(seen[0], expected)
    np.testing.assert_array_equal(engine.state.domain.a, expected)
    np.testing.assert_array_equal(before.domain.a, matrix())
    assert [entry.path for entry in engine.diff(before)] == [("domain", "a")]


@pytest.mark.parametrize("how", WRITES)
def test_a_failure_leaves_nothing(engine: TheusEngine, how: str) -> None:
    def body(ctx: Any) -> None:
        WRITES[how](ctx.domain.a)
        raise LookupError

    with pytest.raises(LookupError):
        run(engine, body)
    assert engine.state.version == 1
    np.testing.assert_array_equal(engine.state.domain.a, matrix())


@pytest.mark.parametrize("how", WRITES)
def test_what_is_not_declared_is_not_written(engine: TheusEngine, how: str) -> None:
    with pytest.raises((ContractViolationError, ImmutableError, ValueError)):
        run(
            engine, lambda ctx: WRITES[how](ctx.domain.a), inputs=["domain.a"], outputs=["domain.n"]
        )
    np.testing.assert_array_equal(engine.state.domain.a, matrix())


@given(st.lists(st.sampled_from(sorted(WRITES)), max_size=6), st.booleans())
def test_any_writes_one_after_the_other(names: list[str], kept: bool) -> None:
    expected = matrix()

    def body(ctx: Any) -> None:
        array = ctx.domain.a
        for name in names:
            WRITES[name](array if kept else ctx.domain.a)
            np.testing.assert_array_equal(array, ctx.domain.a)

    with np.errstate(all="ignore"):
        for name in names:
            WRITES[name](expected)
        with TheusEngine({"domain": {"a": matrix()}}) as engine:
            run(engine, body)
            np.testing.assert_array_equal(engine.state.domain.a, expected)


# --- reading -------------------------------------------------------------------------------------

READS: dict[str, Callable[[Any], Any]] = {
    "item": lambda a: a[1, 2],
    "row": lambda a: a[1],
    "fancy": lambda a: a[[0, 2]],
    "mask": lambda a: a[a > 3],
    "add": lambda a: a + 1,
    "radd": lambda a: 1 + a,
    "array add": lambda a: a + matrix(),
    "matmul": lambda a: a @ a.T,
    "rmatmul": lambda a: matrix().T @ a,
    "compare": lambda a: a > 5,
    "equal": lambda a: a == a,
    "negative": lambda a: -a,
    "sum": lambda a: a.sum(),
    "np sum": lambda a: np.sum(a, axis=1),
    "mean": lambda a: a.mean(axis=0),
    "concatenate": lambda a: np.concatenate([a, a]),
    "stack": lambda a: np.stack((a, matrix())),
    "where": lambda a: np.where(a > 2, a, 0),
    "linalg": lambda a: np.linalg.norm(a),
    "dot": lambda a: np.dot(a, a.T),
    "einsum": lambda a: np.einsum("ij,kj->ik", a, a),
    "sorted": lambda a: np.sort(a, axis=None)[::-1],
    "tolist": lambda a: a.tolist(),
    "tobytes": lambda a: a.tobytes(),
    "shape": lambda a: (a.shape, a.ndim, a.size, a.nbytes, len(a)),
    "dtype": lambda a: a.dtype,
    "transposed": lambda a: a.T,
    "reshaped": lambda a: a.reshape(-1),
    "astype": lambda a: a.astype(int),
    "asarray": lambda a: np.asarray(a),
    "array": lambda a: np.array(a, dtype=np.float32),
    "iterated": lambda a: [row.sum() for row in a],
    "list": lambda a: np.array(list(a)),
    "in": lambda a: (5.0 in a, 50.0 in a),
    "str": lambda a: (str(a), repr(a), f"{a[0, 0]:.2f}"),
    "copy": lambda a: copy.copy(a),
    "deepcopy": lambda a: copy.deepcopy(a),
    "pickle": lambda a: pickle.loads(pickle.dumps(a)),
    "flat": lambda a: list(a.flat),
    "number": lambda a: (float(a[0, 1]), int(a[0, 2]), bool(a[0, 3])),
    "divmod": lambda a: divmod(a, 3),
    "round": lambda a: a.round(1),
    "reduce": lambda a: np.add.reduce(a),
    "outer": lambda a: np.multiply.outer(a[0], a[1]),
    "memory": lambda a: bytes(memoryview(np.ascontiguousarray(a))),
}


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("how", READS)
def test_a_read_is_that_of_an_array(engine: TheusEngine, how: str, touched: bool) -> None:
    expected = matrix()

    def body(ctx: Any) -> None:
        array = ctx.domain.a
        if touched:
            array[0, 0] = 41
        found.append(_plain(READS[how](array)))

    if touched:
        expected[0, 0] = 41
    found: list[Any] = []
    run(engine, body)
    np.testing.assert_equal(found[0], _plain(READS[how](expected)))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value


def test_reading_copies_nothing(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        array = ctx.domain.a
        assert isinstance(array, np.ndarray)
        for found in (array, array[1:], array.T, array.reshape(-1)):
            assert np.may_share_memory(np.asarray(found), committed)
            assert not np.asarray(found).flags.writeable
        assert not np.may_share_memory(array.copy(), committed)
        assert array.copy().flags.writeable

    committed = np.asarray(engine.state.domain.a)
    run(engine, body)
    assert engine.state.version == 1


def test_the_memory_of_the_state_is_out_of_reach(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        array = ctx.domain.a
        for found in (array, array[0], np.asarray(array), array.T):
            with pytest.raises(ValueError):
                found.flags.writeable = True
            with pytest.raises(ValueError):
                np.asarray(found)[...] = 0
        with pytest.raises((ValueError, AttributeError)):
            array.setflags(write=True)
        with pytest.raises(AttributeError):
            array.shape = (4, 3)
        with pytest.raises(TypeError):
            array.__class__ = int

    run(engine, body)
    np.testing.assert_array_equal(engine.state.domain.a, matrix())


# --- places --------------------------------------------------------------------------------------


def test_an_array_stands_for_its_place(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        array = ctx.domain.a
        row = array[0]
        array[0, 0] = 50
        assert row[0] == 50
        ctx.domain.a = matrix() + 100
        assert (array[0, 0], row[0]) == (100, 100)
        row[1] = 7
        assert ctx.domain.a[0, 1] == 7
        del ctx.domain.a
        with pytest.raises(TransactionStateError, match="replaced or removed"):
            array.sum()
        ctx.domain.a = matrix()

    run(engine, body)
    np.testing.assert_array_equal(engine.state.domain.a, matrix())


def test_in_place_operators_on_the_place(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        ctx.domain.a += 1
        ctx.domain["a"] *= 2
        ctx.domain.a[0] -= 1
        ctx.domain.rows[1] += 5
        ctx.domain.rows[0][1] = 4

    expected = (matrix() + 1) * 2
    expected[0] -= 1
    run(engine, body)
    np.testing.assert_array_equal(engine.state.domain.a, expected)
    np.testing.assert_array_equal(engine.state.domain.rows[1], [6, 6])
    np.testing.assert_array_equal(engine.state.domain.rows[0], [0, 4])


def test_arrays_in_views_of_mappings_and_lists(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        for name, value in ctx.domain.items():
            if name in ("a", "b"):
                value[0] = 9
        for value in ctx.domain.values():
            if isinstance(value, np.ndarray):
                value[1] = 8
        for row in ctx.domain.rows:
            row[0] = 7
        for row in ctx.domain.rows[:1]:
            row[1] = 6

    run(engine, body)
    found = engine.state.domain
    assert (found.a[0, 0], found.a[1, 0], found.b[0], found.b[1]) == (9, 8, 9, 8)
    np.testing.assert_array_equal(np.array(list(found.rows)), [[7, 6], [7, 1]])


def test_an_array_elsewhere_is_a_copy(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        ctx.domain.c = ctx.domain.a
        ctx.domain.c[0, 0] = 5
        ctx.domain.d = ctx.domain.a[1]
        ctx.domain.a[1] = 0

    run(engine, body)
    found = engine.state.domain
    assert (found.a[0, 0], found.c[0, 0]) == (0, 5)
    np.testing.assert_array_equal(found.d, matrix()[1])
    np.testing.assert_array_equal(found.a[1], 0)


def test_what_leaves_the_process_is_an_ordinary_value(engine: TheusEngine) -> None:
    array = run(engine, lambda ctx: ctx.domain.a, outputs=[], inputs=["domain"])
    assert type(array) is FrozenArray

    @process(inputs=["domain.a"], outputs=["domain.n"])
    def total(ctx: Any) -> Any:
        return ctx.domain.a.sum()

    engine.register(total)
    engine.run(total)
    assert engine.state.domain.n == matrix().sum()


def test_after_the_end_it_is_refused(engine: TheusEngine) -> None:
    kept: list[Any] = []
    run(engine, lambda ctx: kept.extend((ctx.domain.a, ctx.domain.a[0])))
    for array in kept:
        with pytest.raises(TransactionStateError):
            array[0]
        with pytest.raises(TransactionStateError):
            array[0] = 1


def test_a_savepoint_takes_writes_back(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        array = tx.domain.a
        array[0, 0] = 1
        point = tx.savepoint()
        array[0, 0] = 2
        array[1] = 3
        point.rollback()
        assert array[0, 0] == 1
        array[0, 1] = 4
    expected = matrix()
    expected[0, :2] = (1, 4)
    np.testing.assert_array_equal(engine.state.domain.a, expected)


def test_a_nested_call_that_fails_takes_its_writes_back(engine: TheusEngine) -> None:
    @process(inputs=[], outputs=["domain"])
    def spoil(ctx: Any) -> None:
        ctx.domain.a[0, 1] = 66
        raise LookupError

    def body(ctx: Any) -> None:
        array = ctx.domain.a
        array[0, 0] = 5
        with pytest.raises(LookupError):
            engine.run(spoil)
        assert array[0, 1] == 1
        array[0, 2] = 7

    engine.register(spoil)
    run(engine, body)
    np.testing.assert_array_equal(engine.state.domain.a[0], [5, 1, 7, 3])


def test_two_writers_conflict(engine: TheusEngine) -> None:
    with engine.transaction() as first:
        first.domain.a[0, 0] = 1
        with engine.transaction() as second:
            second.domain.b[0] = 9
    with pytest.raises(ConflictError):
        with engine.transaction() as first:
            first.domain.a[0, 0] = 2
            with engine.transaction() as second:
                second.domain.a[1, 1] = 3
    assert engine.state.domain.a[1, 1] == 3


def test_a_pure_process_gets_it_read_only(engine: TheusEngine) -> None:
    def body(ctx: Any) -> Any:
        with pytest.raises((ImmutableError, ValueError)):
            ctx.domain.a[0, 0] = 1
        return int(ctx.domain.a.sum())

    run(engine, body, inputs=["domain.a"], outputs=["domain.n"], semantic=SemanticType.PURE)
    assert engine.state.domain.n == 66


def test_zones_hold_for_arrays() -> None:
    def admin(ctx: Any) -> None:
        with AdminTransaction(ctx):
            ctx.domain.log_values[0] = 1

    content = {"log_values": np.zeros(2), "const_values": np.zeros(2)}
    with TheusEngine({"domain": content}) as engine:
        for name in content:
            with pytest.raises(ContractViolationError):
                run(engine, lambda ctx, name=name: ctx.domain[name].__setitem__(0, 1))
        run(engine, admin)
        assert engine.state.domain.log_values[0] == 1
        with pytest.raises(ContractViolationError), engine.transaction() as tx:
            tx.domain.const_values[0] = 1


def test_the_log_has_the_change(engine: TheusEngine) -> None:
    before = engine.state
    run(engine, lambda ctx: ctx.domain.b.__setitem__(1, 8))
    [entry] = engine.diff(before)
    assert entry.path == ("domain", "b")
    np.testing.assert_array_equal(entry.old, [0, 1, 2])
    np.testing.assert_array_equal(entry.new, [0, 8, 2])
    assert engine.blame("domain.b").process == "change"


@pytest.mark.parametrize("nested", [False, True])
def test_the_history_is_bounded_by_the_bytes_of_arrays(nested: bool) -> None:
    content = {"a": np.zeros(1000), "record": {"a": np.zeros(1000)}}
    with TheusEngine({"domain": content}, history_bytes=80_000) as engine:
        for number in range(50):
            with engine.transaction() as tx:
                if nested:
                    tx.domain.record = {"a": np.full(1000, number)}
                else:
                    tx.domain.a[0] = number
        stats = engine.stats()
        assert 16_000 < stats["history_bytes"] <= 80_000
        assert stats["history"] < 10


@pytest.mark.parametrize("place", ["a", "rows", "fresh"])
def test_an_invariant_cannot_write_to_what_is_pending(place: str) -> None:
    content = {"a": np.zeros(3), "rows": [np.zeros(3)], "fresh": None, "spoil": False}

    def of(domain: Any) -> Any:
        return domain.rows[0] if place == "rows" else domain[place]

    with TheusEngine({"domain": content}) as engine:
        seen = []

        @engine.invariant
        def spoils(state: Any) -> None:
            array = of(state.domain)
            if state.domain.spoil:
                array[0] = 9

        @engine.invariant
        def looks(state: Any) -> bool:
            array = of(state.domain)
            seen.append(None if array is None else array.tolist())
            return array is None or bool((array >= 0).all())

        def write(ctx: Any, value: float, spoil: bool = False) -> None:
            ctx.domain.spoil = spoil
            if place == "fresh":
                ctx.domain.fresh = np.zeros(3)
            of(ctx.domain)[0] = value

        run(engine, lambda ctx: write(ctx, 2.0))
        assert seen[-1] == [2.0, 0.0, 0.0]
        before = engine.state
        with pytest.raises(InvariantViolationError, match=r"'spoils'.*read-only"):
            run(engine, lambda ctx: write(ctx, 1.0, spoil=True))
        with pytest.raises(InvariantViolationError, match="'looks'"):
            run(engine, lambda ctx: write(ctx, -1.0))
        assert engine.state is before
        assert of(engine.state.domain).tolist() == [2.0, 0.0, 0.0]
