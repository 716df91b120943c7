"""Goals 25 and 26: comparing two trees, and two versions of a state."""

from __future__ import annotations

import copy
from collections.abc import Callable

from benchmarks.harness import calls, once, race, ratio
from benchmarks.states import store_of, tree
from benchmarks.table import Bound, NotMeasured, goal
from theus._core.delta import diff
from theus._core.difference import difference
from theus._core.state import state_at
from theus._core.store import Store
from theus._core.transaction import Transaction

CHANGES = 10


@goal(
    25,
    "structural diff of 10,000 leaves, nothing shared: jsondiff / ours",
    Bound("18", 10.0, 5.0, at_most=False),
)
def structural() -> float:
    """Two deep copies of 100 x 100 leaves that differ in 10."""
    try:
        import jsondiff
    except ImportError as error:
        raise NotMeasured("install jsondiff: pip install --group bench") from error
    before = tree(100, 100)
    after = copy.deepcopy(before)
    for number in range(CHANGES):
        after[f"g{number * 9}"][f"k{number * 7}"] = -1
    assert len(diff(before, after)) == CHANGES
    assert len(jsondiff.diff(before, after)) == CHANGES
    best = race(
        {
            "ours": once(lambda: diff(before, after)),
            "jsondiff": once(lambda: jsondiff.diff(before, after)),
        },
        60,
    )
    return best["jsondiff"] / best["ours"]


def _difference(width: int) -> Callable[[], object]:
    """What `engine.diff` does, over 10 changes in `width` x `width` leaves."""
    store = store_of(tree(width, width))
    for number in range(50):
        _change(store, 0, number)
    before = state_at(store, store.ver)
    for number in range(CHANGES):
        _change(store, number, -number - 1)
    after = state_at(store, store.ver)
    assert len(difference(before, after)) == CHANGES
    return lambda: difference(before, after)


def _change(store: Store, group: int, value: int) -> None:
    tx = Transaction.over(store)
    tx.domain[f"g{group}"][f"k{group + 3}"] = value
    tx.commit()


@goal(
    26,
    "difference of two versions with 10 changes: 1,000,000 leaves / 1,024 leaves",
    Bound("1.0", 1.5, 3.0),
)
def versions() -> float:
    """The log of deltas names what changed."""
    return ratio(calls(_difference(1000), 10), calls(_difference(32), 10))
