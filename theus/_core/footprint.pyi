from typing import Any, Final, final

from typing_extensions import disjoint_base

from theus._core.chain import Chain
from theus._core.signal import Outgoing
from theus._core.store import Store

STATUS_NAMES: Final[tuple[str, ...]]

@final
class Draft: ...

@disjoint_base
class Footprint:
    process: str | None
    trace: Any
    extra: Any
    @property
    def store(self) -> Store: ...
    @property
    def effects(self) -> Outgoing | None: ...
    @property
    def chain(self) -> Chain | None: ...
    @property
    def limit_ms(self) -> float: ...
    @property
    def started(self) -> float: ...
    @property
    def asserted(self) -> int: ...
    @property
    def strict(self) -> bool: ...
    @property
    def committed_version(self) -> int: ...
    @property
    def refused(self) -> bool: ...
    def label(self) -> str: ...
