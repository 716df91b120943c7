from typing import Any, Final, TypeVar

from typing_extensions import disjoint_base

from theus._core.freeze import Held

__pyx_capi__: Final[dict[str, object]]

_T = TypeVar("_T")

@disjoint_base
class Guard:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Any: ...

@disjoint_base
class LeafGuard(Held):
    def __init__(self, guard: Guard, key: Any) -> None: ...
    def _detach(self) -> Any: ...
    def _held(self, kind: type[_T]) -> _T: ...
    def _replace(self, value: object) -> None: ...
