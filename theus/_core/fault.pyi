from typing import Final

__pyx_capi__: Final[dict[str, object]]
FAULTS: tuple[str | None, ...]

def set_fault(name: str | None) -> None: ...
def get_fault() -> str | None: ...
