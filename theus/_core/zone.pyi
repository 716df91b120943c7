from typing import Final

from theus.zones import ZoneRule

__pyx_capi__: Final[dict[str, object]]
ACTS: Final[dict[str, int]]

def limits_of(rule: ZoneRule, *, decides: bool = True) -> int: ...
