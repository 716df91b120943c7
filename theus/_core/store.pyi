from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, final

from theus._core.conflict import Ticket
from theus._core.counters import Counters
from theus._core.freeze import RESERVED as RESERVED
from theus._core.log import DeltaLog
from theus._core.node import Node
from theus._core.ring import Ring
from theus._core.signal import Outgoing
from theus.errors import TheusError
from theus.outbox import OutboxCollector
from theus.signals import SignalHub

@final
class Snap:
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn: ...
    @property
    def ver(self) -> int: ...

@final
class Store:
    fence: Ticket | None
    hub: SignalHub | None
    meta: Ring | None
    outbox: Callable[[], OutboxCollector] | None
    marks: dict[str, dict[str | None, int]] | None
    report: Callable[[TheusError], object] | None
    counters: Counters | None
    @property
    def root(self) -> Node: ...
    @property
    def heavy(self) -> Node: ...
    @property
    def ver(self) -> int: ...
    @property
    def history(self) -> DeltaLog: ...
    @property
    def outgoing(self) -> deque[Outgoing]: ...
    @property
    def commits(self) -> int: ...
    @property
    def alive(self) -> int: ...
    @property
    def lag(self) -> int: ...
    @property
    def undo_records(self) -> int: ...
    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        history: int = 4096,
        history_bytes: int = ...,
        version: int = 1,
        time_travel: bool = False,
        keep_reads: bool = False,
    ) -> None: ...
    def renew_rules(self) -> None: ...
    def collect(self) -> int: ...
