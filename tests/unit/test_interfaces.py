"""The protocols: what satisfies them by its methods and their parameters, and what does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from theus import SignalHub, TheusEngine
from theus.interfaces import IEngine, IOrchestrator, IScheduler
from theus.orchestrator import SignalBus, StateMachine, ThreadExecutor, WorkflowManager
from theus.parallel import InlinePool, ThreadPool


@contextmanager
def shut(made: Any) -> Iterator[Any]:
    try:
        yield made
    finally:
        made.shutdown()


@contextmanager
def a_manager() -> Iterator[WorkflowManager]:
    with TheusEngine() as engine, WorkflowManager(engine) as manager:
        yield manager


SATISFY: list[tuple[Any, Callable[[], Any]]] = [
    (IEngine, TheusEngine),
    (IScheduler, ThreadExecutor),
    (IScheduler, lambda: shut(ThreadPool(1))),
    (IScheduler, lambda: shut(InlinePool())),
    (IScheduler, ThreadPoolExecutor),
    (IOrchestrator, a_manager),
]


def members(protocol: Any) -> dict[str, Any]:
    return {
        name: member
        for name, member in vars(protocol).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    }


@pytest.mark.parametrize(("protocol", "make"), SATISFY)
def test_what_satisfies_a_protocol(protocol: Any, make: Any) -> None:
    with make() as made:
        assert isinstance(made, protocol)
        for name, member in members(protocol).items():
            if isinstance(member, property):
                getattr(made, name)
            else:
                takes_as_much(getattr(made, name), member)


def takes_as_much(method: Any, member: Any) -> None:
    """A method takes the call that the protocol describes, positional and by name."""
    parameters = [*inspect.signature(member).parameters.values()][1:]
    kinds = inspect.Parameter
    plain = [one for one in parameters if one.kind is kinds.POSITIONAL_OR_KEYWORD]
    bound = inspect.signature(method)
    bound.bind(*[one.name for one in parameters if one.kind not in (kinds.VAR_KEYWORD,)])
    if len(plain) == len(parameters):
        bound.bind(**{one.name: one.name for one in plain})


@pytest.mark.parametrize("protocol", [IEngine, IScheduler, IOrchestrator])
@pytest.mark.parametrize(
    "make", [SignalHub, object, dict, lambda: StateMachine({"a": {}}, "a"), SignalBus]
)
def test_what_satisfies_none(protocol: Any, make: Any) -> None:
    assert not isinstance(make(), protocol)


def test_a_program_s_own_engine_will_do() -> None:
    ran: list[Any] = []
    hub = SignalHub()

    class Own:
        state = None
        signal = hub
        registry: dict[str, Any] = {}

        def register(self, func: Any) -> Any:
            return func

        def scan_and_register(self, path: str) -> list[str]:
            return []

        async def execute(self, func_or_name: Any, *args: Any, **kwargs: Any) -> Any:
            return self.run(func_or_name, *args, **kwargs)

        def run(self, func_or_name: Any, *args: Any, **kwargs: Any) -> Any:
            ran.append((func_or_name, kwargs))

        def execute_workflow(self, path_or_text: Any, **kwargs: Any) -> list[str]:
            return []

        def shutdown(self) -> None:
            pass

    engine = Own()
    assert isinstance(engine, IEngine)
    with WorkflowManager(engine) as manager:
        manager.on("n", "work")
        manager.dispatch("n", 5)
    assert ran == [("work", {"topic": "n", "payload": 5})]
