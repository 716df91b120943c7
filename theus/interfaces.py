"""Protocols of the large parts, for programs that take any implementation of them.

All can be checked with ``isinstance`` (presence of the methods, not their signatures).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

__all__ = ["IEngine", "IOrchestrator", "IScheduler"]

T = TypeVar("T")


@runtime_checkable
class IEngine(Protocol):
    """What runs processes against a state."""

    @property
    def state(self) -> Any:
        """The current state: immutable, with a ``version``."""

    @property
    def signal(self) -> Any:
        """The hub of its signals."""

    @property
    def registry(self) -> Mapping[str, Callable[..., Any]]:
        """Registered processes by name; read-only."""

    def register(self, func: Callable[..., Any]) -> Any:
        """Register a decorated function under its name."""

    def scan_and_register(self, path: str) -> Iterable[str]:
        """Register every process found in the Python files below `path`; their names."""

    def execute(self, func_or_name: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Awaited: run a process as one transaction, retried on conflict; its return value."""

    def run(self, func_or_name: Any, *args: Any, **kwargs: Any) -> Any:
        """`execute` for programs without an event loop."""

    def execute_workflow(self, path_or_text: str | Path, **kwargs: Any) -> list[str]:
        """Run a workflow; the names of the processes it ran, in order."""

    def shutdown(self) -> None:
        """Stop everything the engine started."""


@runtime_checkable
class IScheduler(Protocol):
    """What runs functions somewhere else: threads, processes, a cluster."""

    def submit(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``func(*args, **kwargs)`` when there is room; its future."""

    def shutdown(self, wait: bool = True) -> None:
        """Take nothing more; with `wait`, return when everything running has ended."""


@runtime_checkable
class IOrchestrator(Protocol):
    """What decides which process runs next."""

    def start(self) -> None:
        """Begin to react to signals."""

    def stop(self) -> None:
        """Stop reacting; what runs is completed."""

    def dispatch(self, topic: str, payload: Any = None) -> None:
        """React to one event as if its signal had arrived."""
