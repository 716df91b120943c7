"""The compiled core against the oracle, through random lives of an engine."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

from tests.model.machine import StateMachine

DEEP = os.environ.get("THEUS_TEST_DEPTH") == "deep"

SETTINGS = settings(
    deadline=None,
    max_examples=5000 if DEEP else 150,
    stateful_step_count=100 if DEEP else 40,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


class SnapshotMachine(StateMachine):
    """The same under snapshot isolation: reads are not validated."""

    isolation = "snapshot"


TestSerializable = StateMachine.TestCase
TestSerializable.settings = SETTINGS
TestSnapshot = SnapshotMachine.TestCase
TestSnapshot.settings = SETTINGS
