from collections.abc import Callable
from typing import Any, Final

__pyx_capi__: Final[dict[str, object]]

def register_shown(make: Callable[[Any, Any], Any], *classes: type) -> None: ...
