from collections.abc import Sequence
from typing import Any, final

from theus._core.store import Store

@final
class History:
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    def __init__(self, store: Store) -> None: ...
    def last_change(self, path: str | Sequence[Any], until: int) -> int: ...
    def commit(
        self, version: int
    ) -> (
        tuple[
            str | None,
            float,
            int,
            list[tuple[Any, ...]],
            list[tuple[tuple[Any, ...], tuple[int, ...]]] | None,
        ]
        | None
    ): ...
