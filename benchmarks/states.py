"""States and engines that several goals measure on, made once per run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from theus._core.ring import Ring
from theus._core.store import Store
from theus._core.transaction import Transaction
from theus.context.updates import StateUpdate
from theus.contracts import process
from theus.engine import TheusEngine

__all__ = [
    "WRITE_PATHS",
    "commit_key",
    "engine_of",
    "entries",
    "inside",
    "read_key",
    "store_of",
    "tree",
]


def entries(size: int) -> dict[str, int]:
    """A flat mapping of `size` names."""
    return {f"k{number}": number for number in range(size)}


def tree(groups: int, width: int) -> dict[str, dict[str, int]]:
    """`groups` mappings of `width` leaves."""
    return {f"g{group}": entries(width) for group in range(groups)}


def store_of(domain: dict[str, Any]) -> Store:
    """A store with a log of deltas and a meta log, as an engine has it."""
    store = Store({"domain": domain, "global": {}})
    store.meta = Ring(1000)
    return store


@process(inputs=["domain.k3"], outputs=["domain.k3"])
def write_in_place(ctx: Any, value: int) -> None:
    """Write into the context."""
    ctx.domain["k3"] = value


@process(inputs=[], outputs=["domain.k3"])
def write_output(ctx: Any, value: int) -> int:
    """Return the output."""
    return value


@process(inputs=[], outputs=["domain.k3"])
def write_update(ctx: Any, value: int) -> StateUpdate:
    """Return a StateUpdate."""
    return StateUpdate(key="domain.k3", val=value)


@process(inputs=["domain.k3"], outputs=[])
def read_in_process(ctx: Any) -> int:
    """Read one key."""
    return ctx.domain["k3"]


@process(inputs=["domain"], outputs=["domain"])
def visit(ctx: Any, action: Callable[[Any], Any]) -> Any:
    """Call `action` with the guarded domain."""
    return action(ctx.domain)


PROCESSES = (write_in_place, write_output, write_update, read_in_process, visit)


@cache
def engine_of(size: int) -> TheusEngine:
    """An engine with `size` keys in its domain."""
    engine = TheusEngine({"domain": entries(size), "global": {}})
    for each in PROCESSES:
        engine.register(each)
    return engine


def by_transaction(engine: TheusEngine, value: int) -> None:
    """Write in a `with engine.transaction()` block."""
    with engine.transaction() as tx:
        tx.domain["k3"] = value


def by_swap(engine: TheusEngine, value: int) -> None:
    """Write by `compare_and_swap` on the newest version."""
    engine.compare_and_swap(engine.state.version, data={"domain": {"k3": value}})


WRITE_PATHS: dict[str, Callable[[TheusEngine, int], object]] = {
    "in place, run()": lambda engine, value: engine.run(write_in_place, value),
    "transaction()": by_transaction,
    "compare_and_swap": by_swap,
    "returned output": lambda engine, value: engine.run(write_output, value),
    "StateUpdate": lambda engine, value: engine.run(write_update, value),
}
"""How one key is written: name -> function of an engine and the value."""


def read_key(engine: TheusEngine) -> object:
    """Read one key in a process."""
    return engine.run(read_in_process)


def commit_key(store: Store, key: str, value: int) -> None:
    """Open a transaction, write one key, commit."""
    tx = Transaction.over(store)
    tx.domain[key] = value
    tx.commit()


def inside(domain: dict[str, Any], action: Callable[[Any], Any]) -> Any:
    """What `action` returns for the domain as a process sees it: guarded, under a contract."""
    engine = TheusEngine({"domain": domain, "global": {}})
    engine.register(visit)
    return engine.run(visit, action)
