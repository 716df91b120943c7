from typing import final

from theus._core.conflict import Arbiter, Ticket
from theus._core.footprint import Footprint
from theus.errors import ConflictError

@final
class Counters:
    attempts: int
    retries: int
    tickets: int
    parked: int
    max_attempts: int
    failures: int

@final
class RetryPolicy:
    @property
    def arbiter(self) -> Arbiter: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def max_retries(self) -> int: ...
    @property
    def base_backoff_ms(self) -> float: ...
    def __init__(
        self, arbiter: Arbiter, *, max_retries: int = 5, base_backoff_ms: float = 2.0
    ) -> None: ...

@final
class Chain:
    attempts: int
    @property
    def wait(self) -> float: ...
    @property
    def label(self) -> str | None: ...
    @property
    def failures(self) -> int: ...
    @property
    def ticket(self) -> Ticket | None: ...
    @property
    def turn(self) -> bool: ...
    @property
    def must_queue(self) -> bool: ...
    def __init__(
        self, policy: RetryPolicy, label: str | None, lease_s: float | None = None
    ) -> None: ...
    def start(self) -> int: ...
    def lost(self, tx: Footprint, error: ConflictError, mean_ms: float) -> int: ...
    def close(self) -> None: ...
