"""WorkflowManager: which processes and workflows run when a signal arrives."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, final

from theus._closing import Closing
from theus._logs import logger
from theus.errors import EngineClosedError, SettingsError, TransitionError
from theus.interfaces import IEngine, IScheduler
from theus.orchestrator.bus import SignalBus, Subscription
from theus.orchestrator.executor import ThreadExecutor
from theus.orchestrator.machine import StateMachine
from theus.signals import Signal

__all__ = ["Failure", "WorkflowManager"]

_log = logger("orchestrator")


class Failure(NamedTuple):
    """An action that raised: the topic that caused it, what was run, and the error."""

    topic: str
    action: str
    error: BaseException


Action = Callable[[Signal], object]


@final
class WorkflowManager(Closing):
    """Runs processes and workflows of an engine when signals arrive; an `IOrchestrator`.

    Actions run on the scheduler, side by side; those of one signal start in the order in
    which they were added. A process gets ``topic`` and ``payload`` as keyword arguments if it
    takes them, beside those given with the route. What an action raises is logged and kept in
    `failures`. Methods may be called from any thread. A context manager: start, then stop.

    Parameters
    ----------
    engine:
        What runs the processes.
    scheduler:
        Where; None: a `ThreadExecutor` of its own, which `stop` ends.
    bus:
        Whose signals; None: a bus of its own over the signals of the engine. A bus that is
        given is started and stopped by whoever made it.
    machine:
        A signal whose topic is an event of this machine moves it; others leave it alone.
    keep:
        How many failures are kept.
    """

    def __init__(
        self,
        engine: IEngine,
        scheduler: IScheduler | None = None,
        bus: SignalBus | None = None,
        machine: StateMachine | None = None,
        *,
        keep: int = 100,
    ) -> None:
        self.engine = engine
        self.machine = machine
        self._own_scheduler = ThreadExecutor() if scheduler is None else None
        self._scheduler: IScheduler = self._own_scheduler or scheduler  # type: ignore[assignment]
        self._own_bus = SignalBus(engine.signal) if bus is None else None
        self._bus: SignalBus = self._own_bus or bus  # type: ignore[assignment]
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._routes: tuple[tuple[Subscription, str, Action], ...] = ()
        self._entries: tuple[tuple[str, str, Action], ...] = ()
        self._pending: set[Future[Any]] = set()
        self._failures: deque[Failure] = deque(maxlen=keep)
        self._listening: Subscription | None = None
        self._stopped = False
        self._here = threading.local()

    @property
    def pending(self) -> int:
        """How many actions wait or run."""
        return len(self._pending)

    @property
    def failures(self) -> list[Failure]:
        """The last failures, oldest first; a new list."""
        with self._lock:
            return list(self._failures)

    # --- what to do ---------------------------------------------------------------------------

    def on(self, topic: str, process: str | Callable[..., Any], **kwargs: Any) -> None:
        """Run a registered process for signals of a topic or pattern.

        Raises PathError for a malformed pattern.
        """
        self._route(topic, _name(process), partial(self._process, process, kwargs))

    def on_workflow(self, topic: str, path_or_text: str | Path, **kwargs: Any) -> None:
        """Run a workflow for signals of a topic or pattern; its processes get the arguments."""
        action = partial(self._workflow, path_or_text, kwargs)
        self._route(topic, "workflow", action)

    def on_state(self, state: str, process: str | Callable[..., Any], **kwargs: Any) -> None:
        """Run a registered process when a signal has moved the machine into a state.

        Raises SettingsError where there is no machine with that state.
        """
        if self.machine is None or state not in self.machine.states:
            raise SettingsError(
                f"there is no machine with a state {state!r}; give WorkflowManager one",
                option="machine",
                value=state,
            )
        action = partial(self._process, process, kwargs)
        with self._lock:
            self._entries = (*self._entries, (state, _name(process), action))

    def _route(self, topic: str, name: str, action: Action) -> None:
        route = (Subscription(self._bus, topic, action), name, action)
        with self._lock:
            self._routes = (*self._routes, route)

    def _process(self, process: Any, kwargs: dict[str, Any], signal: Signal) -> Any:
        given = {"topic": signal.topic, "payload": signal.payload, **kwargs}
        return self.engine.run(process, **given)

    def _workflow(self, flow: str | Path, kwargs: dict[str, Any], signal: Signal) -> Any:
        given = {"topic": signal.topic, "payload": signal.payload, **kwargs}
        return self.engine.execute_workflow(flow, **given)

    # --- reacting -----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to react to signals. Raises EngineClosedError after `stop`."""
        with self._lock:
            self._refuse_stopped()
            if self._listening is None:
                self._listening = self._bus.subscribe("**", self._react)
        if self._own_bus is not None:
            self._own_bus.start()

    def dispatch(self, topic: str, payload: Any = None) -> None:
        """React to one event as if its signal had arrived. EngineClosedError after `stop`."""
        self._refuse_stopped()
        self._react(Signal(topic, payload))

    def _react(self, signal: Signal) -> None:
        actions = [
            (name, action) for route, name, action in self._routes if route.wants(signal.topic)
        ]
        if self.machine is not None:
            try:
                state = self.machine.send(signal.topic)
            except TransitionError:
                pass  # not an event of the machine, or not now
            else:
                actions += [(name, act) for entry, name, act in self._entries if entry == state]
        for name, action in actions:
            self._submit(signal, name, action)

    def _submit(self, signal: Signal, name: str, action: Action) -> None:
        future = self._scheduler.submit(self._run, action, signal)
        with self._lock:
            self._pending.add(future)
        future.add_done_callback(partial(self._done, signal.topic, name))

    def _run(self, action: Action, signal: Signal) -> Any:
        self._here.inside = True
        try:
            return action(signal)
        finally:
            self._here.inside = False

    def _done(self, topic: str, name: str, future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        with self._lock:
            self._pending.discard(future)
            if error is not None:
                self._failures.append(Failure(topic, name, error))
            last = self._stopped and not self._pending
            self._idle.notify_all()
        if last and self._own_scheduler is not None:
            self._own_scheduler.shutdown(wait=False)
        if error is not None:
            _log.error("%s failed for the signal %r", name, topic, exc_info=error)

    # --- the end ------------------------------------------------------------------------------

    def join(self, timeout: float | None = None) -> bool:
        """Wait until no action waits or runs; whether that came within `timeout` seconds.

        Signals that the bus has not delivered yet are not waited for.
        """
        with self._idle:
            return self._idle.wait_for(lambda: not self._pending, timeout)

    def stop(self) -> None:
        """Stop reacting; signals that are there and what runs are completed. Safe to call again.

        An action may call it; it does not wait then.
        """
        inside = getattr(self._here, "inside", False)
        if self._own_bus is not None:
            self._own_bus.stop(0 if inside else None)
        with self._lock:
            self._stopped = True
            listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
        if inside:
            return  # the scheduler ends with the last action, which may be this one
        self.join()
        if self._own_scheduler is not None:
            self._own_scheduler.shutdown()

    def __enter__(self) -> Self:
        self.start()
        return self

    def _leave(self, error: BaseException | None) -> None:
        self.stop()

    def _refuse_stopped(self) -> None:
        if self._stopped:
            raise EngineClosedError("the manager was stopped; make a new one")


def _name(process: str | Callable[..., Any]) -> str:
    return process if isinstance(process, str) else str(getattr(process, "__name__", process))
