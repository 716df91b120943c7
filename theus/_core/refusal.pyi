from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from theus._core.pattern import Position
from theus.errors import ContractViolationError, TheusError

__pyx_capi__: Final[dict[str, object]]
LIBRARY: Final[str]
PACKAGES: Final[tuple[str, ...]]
SPELLED: Final[tuple[type, ...]]
ANY: Final[object]

def is_library(frame: FrameType) -> bool: ...
def is_own(frame: FrameType) -> bool: ...
def place_of(frame: FrameType | None) -> tuple[str, int]: ...
def place() -> tuple[str, int]: ...
def place_raised(error: BaseException) -> tuple[str, int]: ...
def at_place(file: str, line: int) -> str: ...
def access_refused(
    process: str | None,
    pure: bool,
    action: str,
    parts: tuple[Any, ...],
    items: bool,
    pos: Position,
) -> ContractViolationError: ...
def zone_refused(
    process: str | None,
    act: int,
    parts: tuple[Any, ...],
    limits: int,
    marks: dict[str, dict[str | None, int]] | None,
) -> ContractViolationError: ...
def raise_or_report(
    report: Callable[[TheusError], object] | None, flags: int, error: TheusError
) -> int: ...
