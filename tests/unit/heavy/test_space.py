"""Which parts of a range are free: against a list of booleans."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from theus.heavy.space import Space


class SpaceMachine(RuleBasedStateMachine):
    """Any order of taking and giving back."""

    def __init__(self):
        super().__init__()
        self.space = Space(3, 64)
        self.units = [None] * 64
        self.taken = {}

    @rule(length=st.integers(1, 40))
    def take(self, length):
        runs = self.free_runs()
        first = self.space.take(length)
        fitting = [run for run in runs if run[1] >= length]
        assert (first is None) == (not fitting)
        if first is None:
            return
        best = min(size for _, size in fitting)
        assert (first, best) in fitting  # the smallest piece that it fits into
        assert all(unit is None for unit in self.units[first : first + length])
        self.units[first : first + length] = [first] * length
        self.taken[first] = length

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give(self, data):
        first = data.draw(st.sampled_from(sorted(self.taken)))
        length = self.taken.pop(first)
        assert self.space.give(first) == length
        self.units[first : first + length] = [None] * length

    def free_runs(self):
        runs, start = [], None
        for place in range(3, 65):
            free = place < 64 and self.units[place] is None
            if free and start is None:
                start = place
            elif not free and start is not None:
                runs.append((start, place - start))
                start = None
        return runs

    @invariant()
    def counts_are_right(self):
        runs = self.free_runs()
        assert self.space.free == sum(size for _, size in runs)
        assert self.space.largest == max((size for _, size in runs), default=0)
        assert self.space.empty == (not self.taken)


SpaceMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestAnyOrder = SpaceMachine.TestCase


def test_what_was_not_taken_cannot_be_given_back():
    space = Space(0, 8)
    first = space.take(2)
    with pytest.raises(KeyError):
        space.give(first + 1)
    space.give(first)
    with pytest.raises(KeyError):
        space.give(first)
    assert space.free == 8


@pytest.mark.parametrize("ends", [(0, 0), (5, 4), (-1, 4)])
def test_an_empty_range_is_refused(ends):
    with pytest.raises(ValueError, match="holds nothing"):
        Space(*ends)


def test_nothing_of_no_length_is_taken():
    space = Space(0, 8)
    assert space.take(0) is None
    assert space.take(9) is None
    assert space.take(8) == 0
    assert space.take(1) is None
