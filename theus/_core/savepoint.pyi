from typing import Any, Final

from typing_extensions import disjoint_base

__pyx_capi__: Final[dict[str, object]]

@disjoint_base
class Savepoint:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def rollback(self) -> None: ...
    def release(self) -> None: ...
