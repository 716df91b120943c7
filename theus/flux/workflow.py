"""WorkflowEngine: one workflow, ready to be run, awaited or simulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from theus.errors import SettingsError
from theus.flux.driving import Driver, Executor, look
from theus.flux.machine import FSMState, Observer, StateMachine
from theus.flux.parser import parse_workflow
from theus.flux.scope import Scope
from theus.flux.steps.process import ProcessStep
from theus.flux.syntax import Workflow
from theus.flux.walker import Budget, Run, walk_workflow

__all__ = ["WorkflowEngine"]


class WorkflowEngine:
    """A workflow and its state machine.

    Parameters
    ----------
    yaml_text:
        The workflow, as text or UTF-8 bytes.
    max_ops:
        How many operations (calls of processes, passes through loops) one run may do.
    debug:
        Log every call and condition to the logger ``theus.flux``, at level INFO.
    source:
        Name of the file, for messages.

    Raises
    ------
    FluxError
        (a ValueError) for anything wrong in the text: all problems in one error, each with
        file, line, column and excerpt.
    SettingsError
        If `max_ops` is not a positive integer.

    What `ctx` may be: a mapping with ``domain``, ``global``, ``signal``; an object with
    such attributes; or a callable without arguments that returns the present one. It is only
    read, and by conditions only.

    What `executor` is: a callable that runs a process. It is called with the name alone or,
    for a step with ``with:``, with the name and keyword arguments.

    One engine runs one run at a time (ReentryError for a second one); `simulate` may be used
    at any time, from any thread. An exception of a process fails the run and comes out as it
    is, with a note that names the step's file and line.
    """

    __slots__ = ("_debug", "_machine", "_max_ops", "_workflow")

    def __init__(
        self,
        yaml_text: str | bytes,
        max_ops: int = 10_000,
        debug: bool = False,
        *,
        source: str = "<string>",
    ) -> None:
        if not isinstance(max_ops, int) or isinstance(max_ops, bool) or max_ops < 1:
            raise SettingsError(
                f"max_ops must be a positive integer, not {max_ops!r}.",
                option="max_ops",
                value=max_ops,
            )
        self._workflow: Workflow = parse_workflow(yaml_text, source=source)
        self._machine = StateMachine()
        self._max_ops = max_ops
        self._debug = bool(debug)

    @classmethod
    def from_file(
        cls, path: str | PathLike[str], max_ops: int = 10_000, debug: bool = False
    ) -> WorkflowEngine:
        """The workflow in a file; OSError if it cannot be read."""
        return cls(Path(path).read_bytes(), max_ops, debug, source=str(path))

    def __repr__(self) -> str:
        return f"<WorkflowEngine {self.name or self._workflow.position.file} {self.state.value}>"

    @property
    def name(self) -> str:
        """The ``name:`` of the workflow, or an empty text."""
        return self._workflow.name

    @property
    def process_names(self) -> frozenset[str]:
        """The processes that the workflow names anywhere."""
        steps = self._workflow.steps()
        return frozenset(step.process for step in steps if isinstance(step, ProcessStep))

    # --- state ----------------------------------------------------------------------------

    @property
    def state(self) -> FSMState:
        """Where the last run is, `Pending` before the first."""
        return self._machine.state

    @property
    def fsm_state(self) -> FSMState:
        """The same as `state`."""
        return self._machine.state

    @property
    def state_history(self) -> list[FSMState]:
        """The states since the last start, oldest first."""
        return self._machine.history

    def add_state_observer(self, callback: Observer) -> None:
        """Call ``callback(old, new)`` after every change of state.

        On the thread that runs the workflow; what it raises is logged and ignored.
        """
        self._machine.observe(callback)

    # --- running --------------------------------------------------------------------------

    def execute(self, ctx: Any, executor: Executor) -> list[str]:
        """Run the workflow on this thread: the names of the processes run, in order.

        Branches of a parallel loop go to the executor's ``map`` as lists of
        (name, arguments), if it has one; else they run in order.

        Raises
        ------
        SafetyTripError
            After more than `max_ops` operations.
        FluxError
            If a condition cannot be evaluated.
        ReentryError
            If a run of this engine is under way, or a process returned an awaitable.
        """
        with self._running(ctx) as run:
            Driver(executor).drive(walk_workflow(self._workflow, run))
        return run.trace

    async def execute_async(self, ctx: Any, executor: Executor) -> list[str]:
        """Run the workflow on the event loop; the executor may return awaitables.

        Branches of a parallel loop are tasks. Raises what `execute` raises; a cancelled run
        cancels its branches, waits for them, and is `Failed`.
        """
        from theus.flux.driving_async import AsyncDriver

        with self._running(ctx) as run:
            await AsyncDriver(executor, self._machine).drive(walk_workflow(self._workflow, run))
        return run.trace

    def simulate(self, ctx: Any = None) -> list[str]:
        """The names of the processes that a run would call now, without calling any.

        Conditions are followed. Since nothing runs, the state stays as it is; a loop whose
        condition reads the state is therefore walked once, and one that nothing can end
        raises SafetyTripError. The state machine is not touched.
        """
        run = Run(Scope(ctx), Budget(self._max_ops), dry=True, debug=self._debug)
        look(walk_workflow(self._workflow, run))
        return run.trace

    @contextmanager
    def _running(self, ctx: Any) -> Iterator[Run]:
        """From `Running` to `Complete`, or to `Failed` with whatever goes wrong."""
        self._machine.begin()
        try:
            yield Run(Scope(ctx), Budget(self._max_ops), debug=self._debug)
        except BaseException:
            self._machine.move(FSMState.Failed)
            raise
        self._machine.move(FSMState.Complete)
