from typing import Final, final

from typing_extensions import disjoint_base

from theus._core.store import Store

STATUS_NAMES: Final[tuple[str, ...]]

@final
class Draft: ...

@disjoint_base
class Footprint:
    process: str | None
    @property
    def store(self) -> Store: ...
    def label(self) -> str: ...
