from typing import Any, Final, final

from theus._core.delta import Op

__pyx_capi__: Final[dict[str, object]]
NUMBERS: Final[frozenset[type]]

@final
class Plan:
    @property
    def ops(self) -> list[Op]: ...
    @property
    def version(self) -> int: ...
    @property
    def effects(self) -> tuple[str | None, tuple[Any, ...], dict[str, Any] | None] | None: ...
