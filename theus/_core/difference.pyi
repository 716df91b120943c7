from typing import Final, final

from theus._core.delta import DeltaEntry
from theus._core.state import State

__pyx_capi__: Final[dict[str, object]]

@final
class Difference:
    def __init__(self, before: State, after: State) -> None: ...
    def take(self) -> list[DeltaEntry]: ...

def difference(before: State, after: State) -> list[DeltaEntry]: ...
