from collections.abc import Callable
from typing import Any, Final, NoReturn, final

__pyx_capi__: Final[dict[str, object]]

@final
class Watch:
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn: ...

@final
class Invariant:
    @property
    def name(self) -> str: ...
    @property
    def func(self) -> Callable[..., Any]: ...
    def __init__(self, name: str, func: Callable[..., Any]) -> None: ...

@final
class Invariants:
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn: ...

@final
class Finding:
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn: ...

@final
class Verdicts:
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn: ...
