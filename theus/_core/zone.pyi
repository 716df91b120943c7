from typing import Final

from theus.zones import ZoneRule

__pyx_capi__: Final[dict[str, object]]

def limits_of(rule: ZoneRule, *, decides: bool = True) -> int: ...
