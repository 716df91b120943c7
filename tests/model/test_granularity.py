"""The table of conflicts: what must collide, does; what must not, does not."""

from __future__ import annotations

import pytest

from tests.model.subject import make_engine
from tests.oracle.cases import CASES, TREE
from theus.errors import ConflictError


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
@pytest.mark.parametrize("name", CASES)
def test_case(name: str, isolation: str) -> None:
    case = CASES[name]
    engine = make_engine(TREE, isolation)
    first, second = engine.begin(), engine.begin()
    case.first(first)
    case.second(second)
    first.commit()
    before = engine.state
    if case.expected(isolation):
        with pytest.raises(ConflictError):
            second.commit()
        assert engine.state is before
    else:
        second.commit()


@pytest.mark.parametrize("name", CASES)
def test_case_in_the_other_order_of_beginning(name: str) -> None:
    """The second begins after the first has committed: never a conflict, whatever it does."""
    case = CASES[name]
    engine = make_engine(TREE)
    with engine.transaction() as tx:
        case.first(tx)
    tx = engine.begin()
    try:
        case.second(tx)
    except (LookupError, AttributeError, TypeError):
        tx.rollback()  # what the first removed is not there any more
    else:
        tx.commit()


@pytest.mark.parametrize("name", ["same key", "leaf", "insert and item"])
def test_a_conflict_says_what_collided(name: str) -> None:
    case = CASES[name]
    engine = make_engine(TREE)
    version = engine.state.version
    first, second = engine.begin(), engine.begin()
    case.first(first)
    case.second(second)
    first.commit()
    with pytest.raises(ConflictError) as caught:
        second.commit()
    assert caught.value.paths
    assert all(path.startswith("domain.") for path in caught.value.paths)
    assert caught.value.snapshot == version
    assert caught.value.current == version + 1
