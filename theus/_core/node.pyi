from typing import Any, Final, NoReturn, final

__pyx_capi__: Final[dict[str, object]]

@final
class Tomb: ...

@final
class Undo: ...

@final
class Era: ...

@final
class Node:
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn: ...
