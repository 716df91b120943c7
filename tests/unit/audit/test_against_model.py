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
        capacity=st.integers(1, 12),
    )
    def start(self, level, thresholds, reset, capacity):
        self.least, self.most = thresholds
        self.level, self.reset = level, reset
        self.system = AuditSystem(
            AuditRecipe(level, self.most, self.least, reset), capacity=capacity
        )
        self.counts = {}
        self.entries = []
        self.pending = []

    def verdict(self, count):
        if self.level is AuditLevel.Stop:
            return AuditStopError
        if self.level is AuditLevel.Abort:
            return AuditAbortError
        if self.level is AuditLevel.Block and count > self.most:
            return AuditBlockError
        if self.level is AuditLevel.Block and self.least and count >= self.least:
            return "warning"
        return None

    def count(self, key):
        if self.level is not AuditLevel.Ignore:
            self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts.get(key, 0)

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
        assert outcome == self.verdict(count)
        text = f"failure {count}" if count else "failure, ignored"
        self.entries.append((key, f"{text}: why"))

    @rule(key=KEYS)
    def succeed(self, key):
        self.system.log_success(key)
        if self.reset:
            self.counts.pop(key, None)
            self.pending = [(k, f, False if k == key else live) for k, f, live in self.pending]
        self.entries.append((key, "success"))

    @rule(key=KEYS)
    def note(self, key):
        self.system.log(key, "note")
        self.entries.append((key, "note"))

    @rule(key=KEYS)
    def begin(self, key):
        failure = self.system.count_failure(key)
        assert failure.number == self.count(key)
        self.pending.append((key, failure, self.level is not AuditLevel.Ignore))

    @rule(data=st.data())
    def take_back(self, data):
        if self.pending:
            one = data.draw(st.sampled_from(self.pending))
            self.pending.remove(one)
            key, failure, live = one
            self.system.uncount(failure)
            if live:
                self.counts[key] -= 1
                if not self.counts[key]:
                    del self.counts[key]

    @invariant()
    def they_agree(self):
        if not hasattr(self, "system"):
            return
        assert self.system.get_count_all() == self.counts
        kept = self.entries[-self.system.capacity :]
        assert [(entry.key, entry.message) for entry in self.system.get_logs()] == kept
        assert self.system.ring_buffer_len == len(kept)
        assert self.system.dropped == len(self.entries) - len(kept)


TestAuditModel = AuditModel.TestCase
