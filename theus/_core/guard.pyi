from typing import Any, Final

from typing_extensions import disjoint_base

__pyx_capi__: Final[dict[str, object]]

@disjoint_base
class Guard:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Any: ...
