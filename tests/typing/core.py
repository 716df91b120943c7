"""The compiled core as a type checker sees it; checked, never run."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, MutableSequence, MutableSet, Sequence
from typing import Any, assert_type

from theus import StateUpdate, TheusEngine
from theus._core import ConflictManager, FrozenDict, FrozenList, ProcessContext, State, Transaction
from theus._core.guard_list import ListGuard
from theus._core.guard_map import MapGuard
from theus._core.guard_set import SetGuard
from theus._core.savepoint import Savepoint
from theus.delta import DeltaEntry, apply, diff
from theus.signals import Signal, SignalHub, SignalReceiver


def states_are_read_only(state: State) -> None:
    assert_type(state.data, FrozenDict)
    assert_type(state.heavy, FrozenDict)
    assert_type(state.to_dict(), dict[str, Any])
    assert_type(State({"domain": {"a": 1}}, version=3).update(data={"domain": {"a": 2}}), State)
    State(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    state.data = FrozenDict()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    print(state.domain.anything.below, state.global_.limit)


def frozen_mappings_are_mappings(view: FrozenDict, state: State) -> None:
    as_mapping: Mapping[str, Any] = view
    assert_type(list(view), list[str])
    assert_type(view.copy(), FrozenDict)
    assert_type({"a": 1} | view, FrozenDict)
    view["a"] = 1  # type: ignore[index, assignment]  # pyright: ignore[reportArgumentType]
    del view["a"]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    view.a = 1  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
    state.extra = 1  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
    print(as_mapping, view.any_key, view["any key"], view.get("key", 3), {view: "hashable"})
    FrozenDict({"a": 1}, b=2)
    FrozenDict([("a", 1)])
    FrozenDict(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def frozen_lists_are_sequences(view: FrozenList) -> None:
    as_sequence: Sequence[Any] = view
    assert_type(view[1:], list[Any])
    assert_type(view.to_list(), list[Any])
    assert_type(view + view, FrozenList)
    view.append(1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    print(as_sequence, view.index(3))


def guards_are_mutable_containers(tx: Transaction, items: ListGuard, members: SetGuard) -> None:
    guard = tx.data
    assert_type(guard, MapGuard)
    as_mapping: MutableMapping[str, Any] = guard
    as_sequence: MutableSequence[Any] = items
    as_set: MutableSet[Any] = members
    guard.key = 1
    guard["key"] = guard.pop("other", None)
    guard.update({"a": 1}, b=2)
    del guard.key
    items += [1, 2]
    items[0] = items.pop()
    items.sort(key=str, reverse=True)
    items.sort(str)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    members |= {1}
    members.add(2)
    assert_type(members | {3}, set[Any])
    assert_type(guard.to_dict(), dict[str, Any])
    print(as_mapping, as_sequence, as_set)


def transactions_take_paths(tx: Transaction) -> None:
    with tx as same:
        assert_type(same, Transaction)
        tx.set("domain.a", 1)
        tx.set(("domain", 3), 1)
        tx.delete("domain.a")
        tx.incr("domain.count", by=2)
        tx.set(3, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        point = tx.savepoint()
        assert_type(point, Savepoint)
        point.rollback()
        assert_type(tx.delta_log, list[DeltaEntry])
        assert_type(tx.pending_signal, dict[str, Any])
    Transaction(write_timeout_ms=None).commit()


def attempts_give_transactions(engine: TheusEngine) -> None:
    for attempt in engine.attempts():
        with attempt as tx:
            assert_type(tx, Transaction)


def contexts_have_channels(ctx: ProcessContext) -> StateUpdate:
    ctx.signal.topic = {"any": "payload"}
    ctx.signal["topic"] = 3
    ctx.local["scratch"] = 1
    ctx.log.info("at version %d", ctx.version)
    assert_type(ctx.process, str)
    print(ctx.domain.any_field, ctx.namespace.any_field, ctx.heavy["image"])
    return StateUpdate(delete=["domain.a"], assert_version=ctx.version)


def receivers_choose(hub: SignalHub) -> None:
    with hub.subscribe("orders.*", "stop", policy="coalesce", key="id", typed=True) as receiver:
        assert_type(receiver, SignalReceiver)
        assert_type(receiver.drain(3), list[Any])
    hub.subscribe(policy="sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    signal = Signal("orders.new", {"id": 1})
    assert_type(signal.text, str)
    signal.topic = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert_type(hub.publish(signal), int)


def conflicts_are_decided(manager: ConflictManager) -> None:
    decision = manager.report_conflict("name")
    assert_type(decision.should_retry, bool)
    assert_type(decision.wait_ms, float)
    decision.wait_ms = 3.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def differences_are_entries(before: State, after: State) -> None:
    entries = diff(before.data, after.data)
    assert_type(entries, list[DeltaEntry])
    assert_type(entries[0].path, tuple[Any, ...])
    entries[0].op = "set"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    print(apply(before.data, entries))
