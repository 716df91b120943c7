from collections.abc import Generator
from typing import Any, Final

from typing_extensions import disjoint_base

__pyx_capi__: Final[dict[str, object]]

@disjoint_base
class Suspended:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __await__(self) -> Generator[Any, Any, Any]: ...
