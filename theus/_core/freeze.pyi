from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar, final

__pyx_capi__: Final[dict[str, object]]
MAX_DEPTH: Final[int]
MAX_CONTAINERS: Final[int]
RESERVED: Final[dict[str, None]]
RULES: Final[dict[type, Rule]]
VIEW_MAKERS: Final[list[Callable[[Any], Any]]]

_Kind: TypeAlias = Literal["leaf", "copy", "record", "map", "list", "set", "tuple", "frozenset"]
_T = TypeVar("_T")

@final
class Rule:
    @property
    def cls(self) -> type: ...
    @property
    def kind(self) -> _Kind: ...
    @property
    def fields(self) -> Callable[[Any], dict[str, Any]] | None: ...
    @property
    def build(self) -> Callable[..., Any] | None: ...
    @property
    def frozen(self) -> bool: ...
    @property
    def foreign(self) -> Callable[[type], bool] | None: ...
    def __init__(
        self,
        cls: type,
        kind: _Kind,
        fields: Callable[[Any], dict[str, Any]] | None = None,
        build: Callable[..., Any] | None = None,
        frozen: bool = False,
        foreign: Callable[[type], bool] | None = None,
    ) -> None: ...

def register_leaf(*classes: type) -> None: ...
def register_copy(cls: type[_T], copy: Callable[[_T], Any]) -> None: ...
def register_record(
    cls: type[_T],
    fields: Callable[[_T], dict[str, Any]],
    build: Callable[[type[_T], dict[str, Any]], _T],
    *,
    frozen: bool = False,
    foreign: Callable[[type], bool] | None = None,
) -> None: ...
def rule_for(cls: type) -> Rule | None: ...
def set_view_maker(maker: Callable[[Any], Any]) -> None: ...
