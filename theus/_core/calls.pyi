from collections.abc import Callable, Coroutine
from typing import Any

from typing_extensions import disjoint_base

from theus._core.context import Spec
from theus._core.runner import Runner

@disjoint_base
class Calls:
    _runner: Runner
    def execute(
        self, func_or_name: Callable[..., Any] | str, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, Any]: ...
    def run(self, func_or_name: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Any: ...
    def _execute(self, spec: Spec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
    def _run(self, spec: Spec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
    def _resolve(self, key: Any, in_loop: bool) -> Spec: ...
