"""Tensors of the state inside a process: read without copying, written as any other place."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.isolated import run_isolated
from theus import TheusEngine, process
from theus.contracts import AdminTransaction, SemanticType
from theus.errors import (
    ConflictError,
    ContractViolationError,
    ImmutableError,
    InvariantViolationError,
    TransactionStateError,
    UnsupportedValueError,
)

torch = pytest.importorskip("torch", reason="tensors need torch (extra `torch`)")
functional = torch.nn.functional


def matrix() -> Any:
    return torch.arange(12.0).reshape(3, 4)


@pytest.fixture
def engine() -> Any:
    content = {"a": matrix(), "b": torch.arange(3), "rows": [torch.zeros(2), torch.ones(2)], "n": 0}
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
    "item": lambda t: t.__setitem__((1, 2), 99),
    "row": lambda t: t.__setitem__(0, 5),
    "slice": lambda t: t.__setitem__((slice(None), 1), torch.tensor([7.0, 8, 9])),
    "mask": lambda t: t.__setitem__(t > 5, 0),
    "fancy": lambda t: t.__setitem__([0, 2], 1),
    "ellipsis": lambda t: t.__setitem__(..., 3),
    "iadd": lambda t: t.__iadd__(1),
    "isub tensor": lambda t: t.__isub__(matrix() / 2),
    "imul itself": lambda t: t.__imul__(t),
    "itruediv": lambda t: t.__itruediv__(2),
    "ifloordiv": lambda t: t.__ifloordiv__(2),
    "ipow": lambda t: t.__ipow__(2),
    "imod": lambda t: t.__imod__(5),
    "out": lambda t: torch.add(t, 1, out=t),
    "out of others": lambda t: torch.mul(matrix(), 2, out=t),
    "out to a part": lambda t: torch.add(matrix()[0], 1, out=t[1]),
    "one out of two": lambda t: torch.sort(
        t, descending=True, out=(t, torch.empty(3, 4, dtype=torch.long))
    ),
    "fill": lambda t: t.fill_(6),
    "zero": lambda t: t.zero_(),
    "copy": lambda t: t.copy_(matrix() * 2),
    "clamp": lambda t: t.clamp_(2, 6),
    "masked fill": lambda t: t.masked_fill_(t > 4, 0),
    "scatter": lambda t: t.scatter_(1, torch.zeros(3, 1, dtype=torch.long), 5.0),
    "index put": lambda t: t.index_put_((torch.tensor([0]), torch.tensor([1])), torch.tensor(44.0)),
    "addcmul": lambda t: t.addcmul_(matrix(), matrix()),
    "for each": lambda t: torch._foreach_add_([t[0], t[1]], 3),
    "initializer": lambda t: torch.nn.init.constant_(t, 3),
    "relu": lambda t: functional.relu(t.sub_(5), inplace=True),
    "dropout": lambda t: functional.dropout(t, 1.0, inplace=True),
    "statistics": lambda t: functional.batch_norm(matrix(), t[0], t[1], training=True),
    "embedding": lambda t: functional.embedding(torch.tensor([0, 2]), t, max_norm=1.0),
    "apply": lambda t: t.apply_(lambda number: number + 1),
    "map": lambda t: t.map_(matrix(), lambda a, b: a + b),
    "data": lambda t: t.data.fill_(3),
    "detached": lambda t: t.detach()[0].fill_(3),
    "part of a row": lambda t: t[1].__setitem__(0, 33),
    "part of a part": lambda t: t[1:][0].__setitem__(slice(1, 3), 21),
    "row iadd": lambda t: t[2].__iadd__(5),
    "one number": lambda t: t[0, 1].fill_(12),
    "transposed": lambda t: t.T.__setitem__((0, 1), 17),
    "viewed": lambda t: t.view(-1).__setitem__(3, 5.0),
    "reshaped": lambda t: t.reshape(4, 3)[3].zero_(),
    "swapped": lambda t: t.swapaxes(0, 1)[2].neg_(),
    "split": lambda t: t.split(1)[1].zero_(),
    "diagonal": lambda t: t.diagonal().fill_(8),
    "strided": lambda t: t.as_strided((6,), (2,)).fill_(4),
    "bits": lambda t: t.view(torch.int32)[0].fill_(0),
    "iterated": lambda t: [row.fill_(number) for number, row in enumerate(t)],
    "real": lambda t: setattr(t, "real", torch.ones(3, 4)),
    "augmented item": lambda t: t.__setitem__(0, t[0] + t[1]),
}


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize("how", WRITES)
def test_a_write_is_that_of_a_tensor(engine: TheusEngine, how: str, mode: Any) -> None:
    expected = matrix()
    WRITES[how](expected)

    def body(ctx: Any) -> None:
        with mode():
            WRITES[how](ctx.domain.a)
        seen.append(ctx.domain.a.clone())

    seen: list[Any] = []
    before = engine.state
    run(engine, body)
    assert torch.equal(seen[0], expected)
    assert torch.equal(engine.state.domain.a, expected)
    assert torch.equal(before.domain.a, matrix())
    assert [entry.path for entry in engine.diff(before)] == [("domain", "a")]


@pytest.mark.parametrize("how", WRITES)
def test_a_failure_leaves_nothing(engine: TheusEngine, how: str) -> None:
    def body(ctx: Any) -> None:
        WRITES[how](ctx.domain.a)
        raise LookupError

    with pytest.raises(LookupError):
        run(engine, body)
    assert engine.state.version == 1
    assert torch.equal(engine.state.domain.a, matrix())


@pytest.mark.parametrize("how", WRITES)
def test_what_is_not_declared_is_not_written(engine: TheusEngine, how: str) -> None:
    with pytest.raises((ContractViolationError, ImmutableError)):
        run(
            engine, lambda ctx: WRITES[how](ctx.domain.a), inputs=["domain.a"], outputs=["domain.n"]
        )
    assert torch.equal(engine.state.domain.a, matrix())


@given(st.lists(st.sampled_from(sorted(WRITES)), max_size=6), st.booleans())
def test_any_writes_one_after_the_other(names: list[str], kept: bool) -> None:
    expected = matrix()

    def same(one: Any, other: Any) -> bool:
        return torch.equal(one.nan_to_num(nan=7.5), other.nan_to_num(nan=7.5))

    def body(ctx: Any) -> None:
        tensor = ctx.domain.a
        for name in names:
            WRITES[name](tensor if kept else ctx.domain.a)
            assert same(tensor, ctx.domain.a)

    for name in names:
        WRITES[name](expected)
    with TheusEngine({"domain": {"a": matrix()}}) as engine:
        run(engine, body)
        assert same(engine.state.domain.a, expected)


# --- reading -------------------------------------------------------------------------------------

READS: dict[str, Callable[[Any], Any]] = {
    "item": lambda t: t[1, 2].item(),
    "row": lambda t: t[1],
    "fancy": lambda t: t[[0, 2]],
    "mask": lambda t: t[t > 3],
    "as a mask": lambda t: matrix()[t > 3],
    "as an index": lambda t: torch.arange(20)[t[1].long()],
    "add": lambda t: t + 1,
    "radd": lambda t: 1 + t,
    "tensor add": lambda t: t + matrix(),
    "from a tensor": lambda t: matrix() - t,
    "matmul": lambda t: t @ t.T,
    "compare": lambda t: t > 5,
    "equal": lambda t: torch.equal(t, t),
    "sum": lambda t: t.sum(),
    "mean": lambda t: t.mean(dim=0),
    "concatenate": lambda t: torch.cat([t, t]),
    "stack": lambda t: torch.stack((t, matrix())),
    "where": lambda t: torch.where(t > 2, t, 0),
    "linalg": lambda t: torch.linalg.norm(t),
    "einsum": lambda t: torch.einsum("ij,kj->ik", t, t),
    "sort": lambda t: torch.sort(t, dim=1, descending=True),
    "tolist": lambda t: t.tolist(),
    "shape": lambda t: (t.shape, t.ndim, t.numel(), t.nbytes, len(t), t.stride(), t.dtype),
    "transposed": lambda t: t.T,
    "viewed": lambda t: t.view(-1),
    "to": lambda t: t.to(torch.int64),
    "numpy": lambda t: t.numpy(),
    "asarray": lambda t: np.asarray(t),
    "array": lambda t: np.array(t, dtype=np.float64),
    "ufunc": lambda t: np.add(t, 1),
    "iterated": lambda t: [row.sum() for row in t],
    "in": lambda t: (5.0 in t, 50.0 in t),
    "str": lambda t: (str(t), repr(t), f"{t[0, 1]:.2f}"),
    "clone": lambda t: t.clone(),
    "copy": lambda t: copy.copy(t),
    "deepcopy": lambda t: copy.deepcopy(t),
    "pickle": lambda t: pickle.loads(pickle.dumps(t)),
    "number": lambda t: (float(t[0, 1]), int(t[0, 2]), bool(t[0, 3])),
    "linear": lambda t: functional.linear(torch.ones(2, 4), t),
    "vmap": lambda t: torch.func.vmap(lambda row: row * 2)(t),
    "statistics": lambda t: functional.batch_norm(matrix(), t[0], t[1], training=False),
    "out elsewhere": lambda t: torch.add(t, 1, out=torch.empty(3, 4)),
    "copied elsewhere": lambda t: torch.empty(3, 4).copy_(t),
    "sparse": lambda t: t.to_sparse().to_dense(),
}


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # ordinary tensors under numpy 2
@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("how", READS)
def test_a_read_is_that_of_a_tensor(engine: TheusEngine, how: str, touched: bool) -> None:
    expected = matrix()

    def body(ctx: Any) -> None:
        tensor = ctx.domain.a
        if touched:
            tensor[0, 0] = 41
        found.append(_plain(READS[how](tensor)))

    if touched:
        expected[0, 0] = 41
    found: list[Any] = []
    run(engine, body)
    np.testing.assert_equal(found[0], _plain(READS[how](expected)))


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return (value.dtype, value.tolist())
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value


def test_reading_copies_nothing(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        tensor = ctx.domain.a
        assert isinstance(tensor, torch.Tensor)
        for found in (tensor, tensor[:2], tensor.T, tensor.view(-1), tensor.detach()):
            assert found.data_ptr() == committed
        assert tensor.numpy().__array_interface__["data"] == (committed, True)
        assert tensor.clone().data_ptr() != committed
        tensor[0, 0] = 1
        assert tensor.data_ptr() != committed

    committed = engine.state.domain.a.data_ptr()
    run(engine, body)


REACHES: dict[str, Callable[[Any], Any]] = {
    "storage": lambda t: t.untyped_storage(),
    "dlpack": lambda t: torch.from_dlpack(t),
    "resize": lambda t: t.resize_(4, 4),
    "transposed in place": lambda t: t.t_(),
    "set": lambda t: t.set_(torch.zeros(3, 4)),
    "set elsewhere": lambda t: torch.empty(0).set_(t),
    "new data": lambda t: setattr(t, "data", torch.zeros(3, 4)),
    "class": lambda t: setattr(t, "__class__", torch.Tensor),
    "out of another shape": lambda t: torch.add(torch.zeros(5, 5), 1, out=t),
    "grad": lambda t: t.requires_grad_(),
    "behind": lambda t: t._behind,
}


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("how", REACHES)
def test_what_reaches_past_the_place_is_refused(engine: TheusEngine, how: str) -> None:
    def body(ctx: Any) -> None:
        with pytest.raises(AttributeError):
            REACHES[how](ctx.domain.a)
        assert torch.equal(ctx.domain.a, matrix())
        assert ctx.domain.a.shape == (3, 4)

    run(engine, body)
    assert torch.equal(engine.state.domain.a, matrix())


# --- autograd ------------------------------------------------------------------------------------


def test_gradients_are_those_of_what_was_read(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        tensor = ctx.domain.a
        first = (weight * tensor).sum()
        tensor += 1
        second = (weight * tensor[0]).sum()
        tensor += 1
        first.backward()
        kept.append(second)

    weight = torch.ones(3, 4, requires_grad=True)
    kept: list[Any] = []
    run(engine, body)
    kept[0].backward()
    assert torch.equal(weight.grad, matrix() + matrix()[0] + 1)


def test_what_is_written_keeps_no_graph(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        ctx.domain.a += weight
        ctx.domain.a[1] = weight[0] * 3
        assert not ctx.domain.a.requires_grad
        with pytest.raises(UnsupportedValueError, match="requires grad"):
            with engine.transaction() as tx:
                tx.domain.b = weight

    weight = torch.ones(3, 4, requires_grad=True)
    run(engine, body)
    expected = matrix() + 1
    expected[1] = 3
    assert torch.equal(engine.state.domain.a, expected)
    assert not engine.state.domain.a.requires_grad


# --- places --------------------------------------------------------------------------------------


def test_a_tensor_stands_for_its_place(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        tensor = ctx.domain.a
        row = tensor[0]
        tensor[0, 0] = 50
        assert row[0] == 50
        ctx.domain.a = matrix() + 100
        assert (tensor[0, 0], row[0]) == (100, 100)
        row[1] = 7
        assert ctx.domain.a[0, 1] == 7
        ctx.domain.a = torch.zeros(5)
        with pytest.raises(TransactionStateError, match="replaced or removed"):
            tensor.sum()
        with pytest.raises(TransactionStateError, match="replaced or removed"):
            row.zero_()
        del ctx.domain.a
        with pytest.raises(TransactionStateError, match="replaced or removed"):
            tensor.sum()
        ctx.domain.a = matrix()

    run(engine, body)
    assert torch.equal(engine.state.domain.a, matrix())


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
    assert torch.equal(engine.state.domain.a, expected)
    assert engine.state.domain.rows[1].tolist() == [6, 6]
    assert engine.state.domain.rows[0].tolist() == [0, 4]


def test_tensors_in_views_of_mappings_and_lists(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        for name, value in ctx.domain.items():
            if name in ("a", "b"):
                value[0] = 9
        for value in ctx.domain.values():
            if isinstance(value, torch.Tensor):
                value[1] = 8
        for row in ctx.domain.rows:
            row[0] = 7
        for row in ctx.domain.rows[:1]:
            row[1] = 6

    run(engine, body)
    found = engine.state.domain
    assert (found.a[0, 0], found.a[1, 0], found.b[0], found.b[1]) == (9, 8, 9, 8)
    assert [row.tolist() for row in found.rows] == [[7, 6], [7, 1]]


def test_a_tensor_elsewhere_is_a_copy(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        ctx.domain.c = ctx.domain.a
        ctx.domain.c[0, 0] = 5
        ctx.domain.d = ctx.domain.a[1]
        ctx.domain.a[1] = 0
        ctx.domain.e = {"in": [ctx.domain.b]}
        ctx.domain.rows.append(ctx.domain.b)

    run(engine, body)
    found = engine.state.domain
    assert (found.a[0, 0], found.c[0, 0]) == (0, 5)
    assert torch.equal(found.d, matrix()[1])
    assert not found.a[1].any()
    assert found.e["in"][0].tolist() == found.rows[2].tolist() == [0, 1, 2]


def test_what_leaves_the_process_is_an_ordinary_value(engine: TheusEngine) -> None:
    committed = engine.state.domain.a
    assert run(engine, lambda ctx: ctx.domain.a, outputs=[], inputs=["domain"]) is committed

    @process(inputs=["domain.a"], outputs=["domain.b"])
    def total(ctx: Any) -> Any:
        return ctx.domain.a[1:].sum(0)

    engine.register(total)
    engine.run(total)
    assert torch.equal(engine.state.domain.b, matrix()[1:].sum(0))


def test_after_the_end_it_is_refused(engine: TheusEngine) -> None:
    kept: list[Any] = []
    run(engine, lambda ctx: kept.extend((ctx.domain.a, ctx.domain.a[0])))
    for tensor in kept:
        with pytest.raises(TransactionStateError):
            tensor[0].item()
        with pytest.raises(TransactionStateError):
            tensor[0] = 1


def test_a_savepoint_takes_writes_back(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tensor = tx.domain.a
        tensor[0, 0] = 1
        point = tx.savepoint()
        tensor[0, 0] = 2
        tensor[1] = 3
        point.rollback()
        assert tensor[0, 0] == 1
        tensor[0, 1] = 4
    expected = matrix()
    expected[0, :2] = torch.tensor([1.0, 4])
    assert torch.equal(engine.state.domain.a, expected)


def test_a_nested_call_that_fails_takes_its_writes_back(engine: TheusEngine) -> None:
    @process(inputs=[], outputs=["domain"])
    def spoil(ctx: Any) -> None:
        ctx.domain.a[0, 1] = 66
        raise LookupError

    def body(ctx: Any) -> None:
        tensor = ctx.domain.a
        tensor[0, 0] = 5
        with pytest.raises(LookupError):
            engine.run(spoil)
        assert tensor[0, 1] == 1
        tensor[0, 2] = 7

    engine.register(spoil)
    run(engine, body)
    assert engine.state.domain.a[0].tolist() == [5, 1, 7, 3]


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


def test_a_read_is_validated(engine: TheusEngine) -> None:
    with pytest.raises(ConflictError):
        with engine.transaction() as first:
            first.domain.n = int(first.domain.a.sum())
            with engine.transaction() as second:
                second.domain.a[1, 1] = 3
    assert engine.state.domain.n == 0


def test_a_pure_process_gets_it_read_only(engine: TheusEngine) -> None:
    def body(ctx: Any) -> Any:
        with pytest.raises(ImmutableError):
            ctx.domain.a[0, 0] = 1
        return int(ctx.domain.a.sum())

    run(engine, body, inputs=["domain.a"], outputs=["domain.n"], semantic=SemanticType.PURE)
    assert engine.state.domain.n == 66


def test_a_pure_process_may_be_the_first_to_work_on_it() -> None:
    run_isolated(
        """
        import torch
        from theus import TheusEngine, process
        from theus.contracts import SemanticType

        @process(inputs=["domain.a"], outputs=["domain.n"], semantic=SemanticType.PURE)
        def total(ctx):
            return float((ctx.domain.a[1:] * 2).sum())

        with TheusEngine({"domain": {"a": torch.ones(3), "n": 0.0}}) as engine:
            engine.register(total)
            assert engine.run(total) == 4.0
        """
    )


def test_zones_hold_for_tensors() -> None:
    def admin(ctx: Any) -> None:
        with AdminTransaction(ctx):
            ctx.domain.log_values[0] = 1

    content = {"log_values": torch.zeros(2), "const_values": torch.zeros(2)}
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
    assert (entry.old.tolist(), entry.new.tolist()) == ([0, 1, 2], [0, 8, 2])
    assert engine.blame("domain.b").process == "change"
    assert engine.state_at(before.version).domain.b.tolist() == [0, 1, 2]


def test_the_history_is_bounded_by_the_bytes_of_tensors() -> None:
    with TheusEngine({"domain": {"a": torch.zeros(1000)}}, history_bytes=40_000) as engine:
        for number in range(50):
            with engine.transaction() as tx:
                tx.domain.a[0] = number
        stats = engine.stats()
        assert 8_000 < stats["history_bytes"] <= 40_000
        assert stats["history"] < 10


def test_the_delta_has_the_change(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.domain.b[1] = 8
        [entry] = tx.delta_log
        assert entry.path == ("domain", "b")
        assert entry.new.tolist() == [0, 8, 2]
        with pytest.raises(ImmutableError):
            entry.new[0] = 1


def test_reading_only_writes_nothing(engine: TheusEngine) -> None:
    def body(ctx: Any) -> None:
        assert ctx.domain.a.sum() + ctx.domain.a.T[0].numpy().sum() == 78

    run(engine, body)
    assert engine.state.version == 1


@pytest.mark.parametrize("place", ["a", "rows", "fresh"])
def test_an_invariant_cannot_write_to_what_is_pending(place: str) -> None:
    content = {"a": torch.zeros(3), "rows": [torch.zeros(3)], "fresh": None, "spoil": False}

    def of(domain: Any) -> Any:
        return domain.rows[0] if place == "rows" else domain[place]

    with TheusEngine({"domain": content}) as engine:
        seen = []

        @engine.invariant
        def spoils(state: Any) -> None:
            tensor = of(state.domain)
            if state.domain.spoil:
                tensor[0] = 9

        @engine.invariant
        def looks(state: Any) -> bool:
            tensor = of(state.domain)
            seen.append(None if tensor is None else tensor.tolist())
            return tensor is None or bool((tensor >= 0).all())

        def write(ctx: Any, value: float, spoil: bool = False) -> None:
            ctx.domain.spoil = spoil
            if place == "fresh":
                ctx.domain.fresh = torch.zeros(3)
            of(ctx.domain)[0] = value

        run(engine, lambda ctx: write(ctx, 2.0))
        assert seen[-1] == [2.0, 0.0, 0.0]
        before = engine.state
        with pytest.raises(InvariantViolationError, match=r"'spoils'.*Immutable"):
            run(engine, lambda ctx: write(ctx, 1.0, spoil=True))
        with pytest.raises(InvariantViolationError, match="'looks'"):
            run(engine, lambda ctx: write(ctx, -1.0))
        assert engine.state is before
        assert of(engine.state.domain).tolist() == [2.0, 0.0, 0.0]
