"""The protocols and what satisfies them, as a type checker sees it; checked, never run."""

from __future__ import annotations

from concurrent.futures import Future
from typing import assert_type

from theus import TheusEngine
from theus.interfaces import IEngine, IOrchestrator, IScheduler
from theus.orchestrator import SignalBus, StateMachine, ThreadExecutor, WorkflowManager
from theus.parallel import ThreadPool


def engines() -> IEngine:
    return TheusEngine()


def schedulers() -> list[IScheduler]:
    return [ThreadExecutor(2), ThreadPool(2)]


def orchestrators(engine: IEngine, scheduler: IScheduler) -> IOrchestrator:
    machine = StateMachine({"idle": {}}, "idle")
    return WorkflowManager(engine, scheduler, SignalBus(engine.signal), machine)


def results(executor: ThreadExecutor) -> None:
    assert_type(executor.submit(len, "abc"), Future[int])
    assert_type(executor.map(str, [1, 2]), list[str])


def what_is_none_of_them() -> None:
    wrong: IScheduler = TheusEngine()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assert wrong
