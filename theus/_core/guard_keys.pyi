from typing import Any, Final

from theus._core.guard import Guard

__pyx_capi__: Final[dict[str, object]]

class KeyedGuard(Guard): ...

def detached(value: Any) -> Any: ...
