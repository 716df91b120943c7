from collections.abc import Iterable, Sequence
from typing import Any, Final

__pyx_capi__: Final[dict[str, object]]
SPELLINGS: Final[dict[str, str]]
ESCAPES: Final[dict[str, str]]
GENERATION: Final[int]
LONGEST_CACHED: Final[int]
MAX_NAMES: Final[int]

def parse_path(path: str | Sequence[Any]) -> tuple[Any, ...]: ...
def format_path(parts: str | Iterable[Any]) -> str: ...
