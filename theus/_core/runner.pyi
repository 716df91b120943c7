from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, TypeAlias, final

from typing_extensions import disjoint_base

from theus._core.conflict import Arbiter, Ticket
from theus._core.context import Spec
from theus._core.store import Store
from theus._core.transaction import Transaction
from theus.errors import ConflictError
from theus.outbox import OutboxCollector

CURRENT: Final[ContextVar[Transaction | None]]

_Args: TypeAlias = tuple[Any, ...]
_Kwargs: TypeAlias = dict[str, Any]

class UnknownProcess(Exception): ...

@disjoint_base
class Hooks:
    before: Callable[[Transaction, Spec, _Args, _Kwargs], object] | None
    discard: Callable[[Transaction], object] | None
    check: Callable[[Transaction, Spec | None], object] | None
    publish: Callable[[], object]
    after: Callable[[Transaction, Spec | None], object] | None
    failed: Callable[[Transaction, Spec, BaseException], object] | None
    sleep: Callable[[float], object]
    sleep_async: Callable[[float], Awaitable[object]]
    park: Callable[[Arbiter, Ticket], object]
    park_async: Callable[[Arbiter, Ticket], Awaitable[object]]
    thread: Callable[[Callable[[], Any]], Awaitable[Any]]
    task: Callable[[], object]
    loop: Callable[[], object]
    outbox: Callable[[], OutboxCollector]
    update_type: type
    apply_update: Callable[[Transaction, Spec, Any], object]
    result_type: type

@final
class Counters:
    attempts: int
    retries: int
    tickets: int
    parked: int
    max_attempts: int
    failures: int

@final
class Chain:
    @property
    def label(self) -> str | None: ...
    @property
    def failures(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def ticket(self) -> Ticket | None: ...
    @property
    def turn(self) -> bool: ...
    @property
    def must_queue(self) -> bool: ...
    def __init__(self, runner: Runner, label: str | None, lease_s: float | None = None) -> None: ...
    def start(self) -> int: ...
    def lost(self, tx: Transaction, error: ConflictError, mean_ms: float) -> float: ...
    def close(self) -> None: ...

@final
class Runner:
    @property
    def store(self) -> Store: ...
    @property
    def arbiter(self) -> Arbiter: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def max_retries(self) -> int: ...
    @property
    def base_backoff_ms(self) -> float: ...
    @property
    def direct(self) -> dict[Any, Spec]: ...
    def __init__(
        self,
        store: Store,
        arbiter: Arbiter,
        hooks: Hooks,
        *,
        max_retries: int = 5,
        base_backoff_ms: float = 2.0,
    ) -> None: ...
    def run_joined(self, spec: Spec, tx: Transaction, args: _Args, kwargs: _Kwargs) -> Any: ...
    async def execute_joined(
        self, spec: Spec, tx: Transaction, args: _Args, kwargs: _Kwargs
    ) -> Any: ...
    def call(self, key: object, args: _Args, kwargs: _Kwargs) -> Any: ...
    def start(self, key: object, args: _Args, kwargs: _Kwargs) -> Coroutine[Any, Any, Any]: ...
    def run(self, spec: Spec, args: _Args, kwargs: _Kwargs) -> Any: ...
    async def execute(self, spec: Spec, args: _Args, kwargs: _Kwargs) -> Any: ...
    def commit(self, tx: Transaction) -> None: ...
    def wait_for(self, tx: Transaction) -> None: ...
