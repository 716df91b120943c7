"""The audit system against a reference model that is too simple to be wrong."""

from __future__ import annotations

import warnings

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from theus.audit import AuditLevel, AuditRecipe, AuditSystem
from theus.errors import (
    AuditAbortError,
    AuditBlockError,
    AuditError,
    AuditStopError,
)

KEYS = st.sampled_from("abc")


class AuditModel(RuleBasedStateMachine):
    """A dict of counts and a list of everything, beside the system."""

    @initialize(
        level=st.sampled_from(AuditLevel),
        thresholds=st.tuples(st.integers(0, 4), st.integers(0, 4)).map(sorted),
        reset=st.booleans(),
        rate=st.sampled_from([None, 0, 0.3, 0.5]),
        window=st.sampled_from([None, 3, 10]),
        capacity=st.integers(1, 12),
    )
    def start(self, level, thresholds, reset, rate, window, capacity):
        self.least, self.most = thresholds
        self.level, self.reset, self.window = level, reset, window
        self.rate = None if reset else rate
        self.now = 100.0
        self.system = AuditSystem(
            AuditRecipe(level, self.most, self.least, reset, window=window, rate=self.rate),
            capacity=capacity,
            clock=lambda: self.now,
        )
        self.uses = {}
        self.entries = []
        self.pending = []

    @rule(seconds=st.sampled_from([0.5, 1, 4]))
    def tick(self, seconds):
        self.now += seconds

    def live(self, key):
        """What counts now: (time, whether it failed, identity)."""
        since = -1e9 if self.window is None else self.now - self.window
        return [use for use in self.uses.get(key, []) if use[0] > since]

    def counted(self, key):
        return sum(failed for _, failed, _ in self.live(key))

    def verdict(self, key, count):
        if self.level is AuditLevel.Stop:
            return AuditStopError
        if self.level is AuditLevel.Abort:
            return AuditAbortError
        if self.rate is not None and count <= self.rate * len(self.live(key)):
            return None
        if self.level is AuditLevel.Block and count > self.most:
            return AuditBlockError
        if self.level is AuditLevel.Block and self.least and count >= self.least:
            return "warning"
        return None

    def use(self, key, failed):
        made = (self.now, failed, object())
        self.uses.setdefault(key, []).append(made)
        return made

    def count(self, key):
        if self.level is AuditLevel.Ignore:
            return 0
        self.last = self.use(key, True)
        return self.counted(key)

    @rule(key=KEYS)
    def fail(self, key):
        count = self.count(key)
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            try:
                assert self.system.log_fail(key, "why") == count
                outcome = "warning" if given else None
            except AuditError as error:
                assert (error.key, error.count) == (key, count)
                outcome = type(error)
        assert outcome == self.verdict(key, count)
        text = f"failure {count}" if count else "failure, ignored"
        self.entries.append((key, f"{text}: why"))

    @rule(key=KEYS)
    def succeed(self, key):
        self.system.log_success(key)
        if self.reset:
            self.uses.pop(key, None)
        elif self.rate is not None:
            self.use(key, False)
        self.entries.append((key, "success"))

    @rule(key=KEYS)
    def note(self, key):
        self.system.log(key, "note")
        self.entries.append((key, "note"))

    @rule(key=KEYS)
    def begin(self, key):
        failure = self.system.count_failure(key)
        assert failure.number == self.count(key)
        self.pending.append((key, failure, self.last if failure.number else None))

    @rule(data=st.data())
    def take_back(self, data):
        if self.pending:
            one = data.draw(st.sampled_from(self.pending))
            self.pending.remove(one)
            key, failure, made = one
            self.system.uncount(failure)
            if made in self.uses.get(key, []):
                self.uses[key].remove(made)

    @invariant()
    def they_agree(self):
        if not hasattr(self, "system"):
            return
        counts = {key: count for key in self.uses if (count := self.counted(key))}
        assert self.system.get_count_all() == counts
        kept = self.entries[-self.system.capacity :]
        assert [(entry.key, entry.message) for entry in self.system.get_logs()] == kept
        assert self.system.ring_buffer_len == len(kept)
        assert self.system.dropped == len(self.entries) - len(kept)


TestAuditModel = AuditModel.TestCase
