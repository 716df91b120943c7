"""Goals 1 to 6 and 27: reading and writing through guards, and the permission decision.

Both sides are the same statement, repeated in compiled code; the guard is the one that a process
gets, under a contract and with its reads noted.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import race, ratio, repeated
from benchmarks.states import commit_key, entries, inside, store_of
from benchmarks.table import Bound, goal
from theus._core.pattern import CAN_READ, check, compile_patterns
from theus._core.state import state_of
from theus._core.transaction import Transaction

WIDTH = 1000


def _domain() -> dict[str, Any]:
    return {**entries(20), "x": 1, "kid": {"y": 1}}


def _against_dict(ours: str, reference: str) -> float:
    """A statement about the guard `p` against one about the dict `d`."""
    domain = _domain()

    def measure(guard: Any) -> float:
        return ratio(repeated(ours, {"p": guard}), repeated(reference, {"d": domain}))

    return inside(domain, measure)


@goal(1, "guarded item read / dict read", Bound("1.60", 2.0, 3.0))
def item_read() -> float:
    """`p['x']` against `d['x']`."""
    return _against_dict("p['x']", "d['x']")


@goal(2, "guarded attribute read / dict read", Bound("2.5", 3.0, 4.5))
def attribute_read() -> float:
    """`p.x` against `d['x']`."""
    return _against_dict("p.x", "d['x']")


@goal(3, "guarded two-level read / two dict reads", Bound("1.6 (2.6)", 3.0, 4.5))
def two_levels() -> float:
    """`p['kid']['y']` against `d['kid']['y']`."""
    return _against_dict("p['kid']['y']", "d['kid']['y']")


@goal(
    4, "read from an old snapshot, 1000 later versions / newest",
    Bound("2-3", 4.0, 6.0, "transaction"),
    Bound("2-3", 4.0, 6.0, "State"),
)
def old_snapshot() -> tuple[float, float]:
    """A key that was overwritten 1000 times since, read as it was and as it is."""
    store = store_of(_domain())
    transaction, state = Transaction.over(store), state_of(store)
    for number in range(1000):
        commit_key(store, "x", number + 10)
    newest = Transaction.over(store)
    views = {
        "old": transaction.domain, "new": newest.domain,
        "old state": state.domain, "new state": state_of(store).domain,
    }
    assert [view["x"] for view in views.values()] == [1, 1009, 1, 1009]
    best = race({name: repeated("p['x']", {"p": view}) for name, view in views.items()})
    return best["old"] / best["new"], best["old state"] / best["new state"]


@goal(5, "guarded write into a draft / dict set", Bound("1.5", 2.5, 4.0))
def draft_write() -> float:
    """`p['x'] = 2` against `d['x'] = 2`."""
    return _against_dict("p['x'] = 2", "d['x'] = 2")


@goal(
    6, f"iterating a guard of {WIDTH} / dict",
    Bound("2.0", 2.5, 4.0, "items()"),
    Bound("1.5", 2.0, 4.0, "keys"),
)
def iteration() -> tuple[float, float]:
    """All entries and all keys, in a `for` with an empty body."""
    domain = entries(WIDTH)

    def measure(guard: Any) -> tuple[float, float]:
        pairs, keys = "for k, v in m.items(): pass", "for k in m: pass"
        cases = {
            (name, text): repeated(text, {"m": mapping}, copies=1, loops=10)
            for name, mapping in (("ours", guard), ("dict", domain))
            for text in (pairs, keys)
        }
        best = race(cases)
        return tuple(best["ours", text] / best["dict", text] for text in (pairs, keys))

    return inside(domain, measure)


@goal(
    27, "permission of a path of 4 keys / reading it in nested dicts",
    Bound("1.3", 2.0, 4.0, "path as keys"),
    Bound("", None, None, "path as text"),
)
def permission() -> tuple[float, float]:
    """The decision as called from Python, so the call counts; patterns with and without globs."""
    nested = {"domain": {"users": {"u1": {"name": 1}}}}
    root = compile_patterns(["domain.users.*.name", "domain.items"], ["domain.count"])
    names = {"check": check, "root": root, "keys": ("domain", "users", "u1", "name"),
             "text": "domain.users.u1.name", "flag": CAN_READ}
    assert check(root, names["keys"], CAN_READ)
    assert not check(root, "domain.users.u1.age", CAN_READ)
    best = race({
        "dict": repeated("d['domain']['users']['u1']['name']", {"d": nested}),
        "keys": repeated("check(root, keys, flag)", names),
        "text": repeated("check(root, text, flag)", names),
    })
    return best["keys"] / best["dict"], best["text"] / best["dict"]
