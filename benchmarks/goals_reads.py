"""Goals 1 to 6 and 27: reading and writing through guards, and the permission decision.

Both sides are the same statement, repeated in compiled code; the guard is the one that a process
gets, under a contract and with its reads noted.
"""

from __future__ import annotations

from collections.abc import Callable
from timeit import Timer
from typing import Any

from benchmarks.harness import race, ratio, repeated
from benchmarks.states import commit_key, entries, inside, store_of
from benchmarks.table import Bound, goal
from theus._core.pattern import CAN_READ, check, compile_patterns
from theus._core.state import state_of
from theus._core.transaction import Transaction
from theus.contracts import process
from theus.engine import TheusEngine

WIDTH = 1000
KEYS = tuple(entries(100))


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
    4,
    "read from an old snapshot, 1000 later versions / newest",
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
        "old": transaction.domain,
        "new": newest.domain,
        "old state": state.domain,
        "new state": state_of(store).domain,
    }
    assert [view["x"] for view in views.values()] == [1, 1009, 1, 1009]
    best = race({name: repeated("p['x']", {"p": view}) for name, view in views.items()})
    return best["old"] / best["new"], best["old state"] / best["new state"]


@goal(5, "guarded write into a draft / dict set", Bound("1.5", 2.5, 4.0))
def draft_write() -> float:
    """`p['x'] = 2` against `d['x'] = 2`."""
    return _against_dict("p['x'] = 2", "d['x'] = 2")


@goal(
    6,
    f"iterating a guard of {WIDTH} / dict",
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


@process(inputs=[f"domain.{key}" for key in KEYS], outputs=[])
def visit_by_names(ctx: Any, action: Callable[[Any], float]) -> float:
    """A contract that names every key."""
    return action(ctx.domain)


@process(inputs=["domain.*", "domain.kid.x?.y"], outputs=["domain.out*"])
def visit_by_glob(ctx: Any, action: Callable[[Any], float]) -> float:
    """A contract of globs."""
    return action(ctx.domain)


@goal(
    27,
    "what the permission decision adds to the first guarded read of a key / dict read",
    Bound("1.3", 2.0, 4.0, "literal"),
    Bound("1.3", 2.0, 4.0, "glob"),
    Bound("", None, None, "check() of 4 keys / 4 dict reads"),
)
def permission() -> tuple[float, float, float]:
    """Each of 100 keys read once, under a contract and without one; the difference, per key.

    The third figure calls the decision from Python for a whole path, which no guard does.
    """
    flat, names = entries(len(KEYS)), dict[str, Any]()
    engine = TheusEngine({"domain": flat, "global": {}})
    engine.register(visit_by_names)
    engine.register(visit_by_glob)
    store = store_of(flat)
    timer = Timer("\n".join(f"p[{key!r}]" for key in KEYS), globals=names)

    def read(mapping: Any) -> float:
        names["p"] = mapping
        return timer.timeit(1) / len(KEYS)

    nested = {"domain": {"users": {"u1": {"name": 1}}}}
    root = compile_patterns(["domain.users.*.name"], ["domain.count"])
    path = ("domain", "users", "u1", "name")
    assert check(root, path, CAN_READ) and not check(root, (*path[:3], "age"), CAN_READ)
    best = race(
        {
            "dict": lambda: read(flat),
            "free": lambda: read(Transaction.over(store).domain),
            "names": lambda: engine.run(visit_by_names, read),
            "glob": lambda: engine.run(visit_by_glob, read),
            "four": repeated("d['domain']['users']['u1']['name']", {"d": nested}),
            "check": repeated(
                "check(r, p, f)", {"check": check, "r": root, "p": path, "f": CAN_READ}
            ),
        },
        400,
    )
    literal, glob = ((best[each] - best["free"]) / best["dict"] for each in ("names", "glob"))
    return literal, glob, best["check"] / best["four"]
