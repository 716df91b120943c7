"""What can be reached from the context of a process and from a state, attribute by attribute.

Every object that is reached without calling anything is looked at, names with one underscore
included. What is not in the list below fails: a new attribute is a decision, not an accident.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from theus import TheusEngine, process
from theus.contracts import SemanticType
from theus.errors import ContractViolationError

READS = "get items keys values"
MUTABLE = f"{READS} clear pop popitem setdefault update"
ACCESS = "data domain domain_ctx global_ global_ctx heavy"
COMMUTING = "add append discard extend incr max min"

ALLOWED: dict[str, str] = {
    "ProcessContext": f"{ACCESS} {COMMUTING} ensure local log meta outbox peek process savepoint "
    "signal state version",
    "MapGuard": f"{MUTABLE} copy to_dict",
    "ListGuard": "append clear copy count extend index insert pop remove reverse sort to_list",
    "SetGuard": "add clear copy difference difference_update discard intersection "
    "intersection_update isdisjoint issubset issuperset pop remove symmetric_difference "
    "symmetric_difference_update union update",
    "SignalWriter": "get",
    "OutboxCollector": "add",
    "ProcessHeavy": f"{MUTABLE} descriptor out readonly writable",
    "ContextLoggerAdapter": "critical debug error exception extra getEffectiveLevel hasHandlers "
    "info isEnabledFor log logger manager merge_extra name process setLevel warn warning",
    "State": f"{ACCESS} get_meta_logs log_meta meta restrict_view signal signals to_dict update "
    "version",
    "RestrictedState": "data domain global_ heavy version",
    "FrozenDict": f"{READS} copy to_dict",
    "FrozenList": "copy count index to_list",
    "MetaLogEntry": "count index key message sequence timestamp",
    "SignalHub": "capacity close closed dropped publish publish_async publish_many published "
    "refused sequence subscribe subscribers",
}
"""Class -> the attributes that programs may find on its objects."""

INTERNAL: dict[str, str] = {
    # Kept apart from what is public; nothing of it gives a right that the process does not have.
    "ProcessHeavy": "_MutableMapping__marker _abc_impl _arrays _changeable _guard _heavy "
    "_leases _lend _readonly _same",
    "OutboxCollector": "_close _detach _ended _lock _messages _truncate",
    "ContextLoggerAdapter": "_log",
    "MetaLogEntry": "_asdict _field_defaults _fields _make _replace",
    "Waiters": "enlist withdraw",
    "SignalHub": "complain crowded deliver hand_over mailboxes make_room make_room_async "
    "stop_waiting waiters",
}
"""Class -> attributes that the library itself uses across its rooms."""

NOT_IN_PURE = {"signal", "meta", "outbox"}


def surface(start: Any) -> dict[str, set[str]]:
    """Class -> names of what its objects have, for all objects of ours that are reached."""
    found: dict[str, set[str]] = {}
    waiting, met = [start], set()
    while waiting:
        here = waiting.pop()
        if not type(here).__module__.startswith("theus") or id(here) in met:
            continue
        met.add(id(here))
        names = {name for name in dir(here) if not name.startswith("__")} - keys_of(here)
        found.setdefault(type(here).__name__, set()).update(names)
        for name in names:
            try:
                value = getattr(here, name)
            except (ContractViolationError, AttributeError, TypeError):  # out of reach
                continue
            waiting.append(value)
            if isinstance(value, (list, tuple)):
                waiting += value
    return found


def keys_of(here: Any) -> set[str]:
    """Names that are content: `ctx.domain.orders`."""
    return (
        {"domain", "global", "texts", "tags", "one"}
        if "Guard" in type(here).__name__ or (type(here).__name__ == "FrozenDict")
        else set()
    )


def walked(start: Callable[[TheusEngine], dict[str, set[str]]]) -> dict[str, set[str]]:
    with TheusEngine({"domain": {"texts": ["a"], "tags": {1}, "one": {}}}) as engine:
        engine.state.log_meta("key", "message")
        return start(engine)


def of_process(engine: TheusEngine, **contract: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}

    @process(**contract)
    def look(ctx: Any) -> None:
        for start in (ctx, ctx.domain.texts, ctx.domain.tags, ctx.domain.one):
            for name, names in surface(start).items():
                found.setdefault(name, set()).update(names)

    engine.register(look)
    engine.run(look)
    return found


def of_state(engine: TheusEngine) -> dict[str, set[str]]:
    state = engine.state
    found = surface(state)
    for part in (state.domain.texts, state.domain.one):
        for name, names in surface(part).items():
            found.setdefault(name, set()).update(names)
    return found


STARTS = {
    "process": of_process,
    "limited process": lambda engine: of_process(engine, inputs=["domain"], outputs=["domain.one"]),
    "state": of_state,
}


@pytest.mark.parametrize("start", STARTS)
def test_only_what_is_listed_can_be_reached(start: str) -> None:
    found = walked(STARTS[start])
    assert len(found) > 3
    new = {
        f"{name}.{attribute}"
        for name, attributes in found.items()
        for attribute in attributes
        if attribute not in f"{ALLOWED.get(name, '')} {INTERNAL.get(name, '')}".split()
    }
    assert new == set()


def test_a_pure_process_reaches_no_channel() -> None:
    found = walked(
        lambda engine: of_process(engine, inputs=["domain"], outputs=[], semantic=SemanticType.PURE)
    )
    assert set(found) <= {
        "ProcessContext", "MapGuard", "ListGuard", "SetGuard", "RestrictedState", "FrozenDict",
        "FrozenList", "ProcessHeavy", "ContextLoggerAdapter",
    }  # fmt: skip
    assert not NOT_IN_PURE & found["RestrictedState"]


def test_the_list_has_nothing_that_is_not_there() -> None:
    found: dict[str, set[str]] = {}
    for start in STARTS.values():
        for name, names in walked(start).items():
            found.setdefault(name, set()).update(names)
    found |= walked(
        lambda engine: of_process(engine, inputs=["domain"], outputs=[], semantic=SemanticType.PURE)
    )
    listed = {
        f"{name}.{attribute}"
        for lists in (ALLOWED, INTERNAL)
        for name, text in lists.items()
        for attribute in text.split()
    }
    there = {f"{name}.{attribute}" for name, names in found.items() for attribute in names}
    optional = {"ContextLoggerAdapter.merge_extra", "ContextLoggerAdapter.warn"}
    assert listed - there - optional - PURE_ONLY == set()


PURE_ONLY: set[str] = {f"ProcessContext.{name}" for name in NOT_IN_PURE}
