from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from typing_extensions import disjoint_base

from theus._core.conflict import Arbiter, Ticket
from theus._core.context import Spec
from theus._core.signal import Outgoing
from theus._core.transaction import Transaction
from theus.engine.tracing import Tracer

_Args: TypeAlias = tuple[Any, ...]
_Kwargs: TypeAlias = dict[str, Any]

@disjoint_base
class Hooks:
    tracer: Tracer | None
    before: Callable[[Transaction, Spec, _Args, _Kwargs], object] | None
    discard: Callable[[Transaction, BaseException], object] | None
    check: Callable[[Transaction, Spec | None], object] | None
    publish: Callable[[Outgoing | None], bool]
    backpressure: Callable[[Outgoing | None], object]
    backpressure_async: Callable[[Outgoing | None], Awaitable[object]]
    after: Callable[[Transaction, Spec | None], object] | None
    failed: Callable[[Transaction, Spec, BaseException], object] | None
    sleep: Callable[[float], object]
    sleep_async: Callable[[float], Awaitable[object]]
    park: Callable[[Arbiter, Ticket], object]
    park_async: Callable[[Arbiter, Ticket], Awaitable[object]]
    thread: Callable[[Callable[[], Any]], Awaitable[Any]]
    thread_to_end: Callable[[Callable[[], Any]], Awaitable[Any]]
    loop: Callable[[], object]
    complete: Callable[[Coroutine[Any, Any, Any]], Any]
    update_type: type
    apply_update: Callable[[Transaction, Spec, Any], object]
    result_type: type
