from collections.abc import Callable
from typing import Any, Final, TypeVar

from typing_extensions import disjoint_base

__pyx_capi__: Final[dict[str, object]]

_T = TypeVar("_T")

@disjoint_base
class Held: ...

def register_held(cls: type[_T], held: Callable[[_T], Any]) -> None: ...
