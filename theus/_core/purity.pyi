from typing import Any, Final, NoReturn, final

__pyx_capi__: Final[dict[str, object]]
PHRASES: Final[dict[str, str]]
SPEAKERS: Final[tuple[str, ...]]
ACTING_MODULES: Final[tuple[str, ...]]

@final
class Lent:
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn: ...

def watch() -> None: ...
def refuse_in_pure(phrase: str, event: str) -> None: ...
