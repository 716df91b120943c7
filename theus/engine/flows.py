"""Running workflows on an engine: conditions see the state as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theus._core.state import state_of

if TYPE_CHECKING:
    from theus._core.store import Store
    from theus.engine.engine import TheusEngine
    from theus.flux.workflow import WorkflowEngine

__all__ = ["FlowExecutor", "flow_context", "make_workflow", "read_workflow"]


def read_workflow(path_or_text: str | Path) -> tuple[str, str]:
    """(text, name of its source) of a workflow given as a file or as YAML text."""
    if isinstance(path_or_text, Path):
        return path_or_text.read_text(encoding="utf-8"), str(path_or_text)
    if "\n" not in path_or_text and path_or_text.endswith((".yaml", ".yml")):
        return Path(path_or_text).read_text(encoding="utf-8"), path_or_text
    return path_or_text, "<workflow>"


def flow_context(store: Store) -> dict[str, Any]:
    """What conditions may look at, taken from the newest version."""
    state = state_of(store)
    signals = state.signals
    return {
        "domain": state.domain,
        "global": state.global_,
        "signal": signals,
        "cmd": signals,
    }


class FlowExecutor:
    """Runs the processes that a workflow names; sync driver."""

    def __init__(self, engine: TheusEngine, arguments: dict[str, Any]) -> None:
        self._engine = engine
        self._arguments = arguments

    def __call__(self, name: str, **arguments: Any) -> Any:
        return self._engine.run(name, **{**self._arguments, **arguments})

    def map(
        self, calls: Sequence[tuple[str, dict[str, Any]]], limit: int | None = None
    ) -> list[Any]:
        """Run several calls side by side and wait for all; results in order.

        The first error is raised after all have ended.
        """
        return self._engine._run_side_by_side(
            [(name, {**self._arguments, **arguments}) for name, arguments in calls], limit
        )


def make_workflow(engine: TheusEngine, path_or_text: str | Path) -> WorkflowEngine:
    """Parse a workflow with the limits of the engine."""
    from theus.flux.workflow import WorkflowEngine

    text, source = read_workflow(path_or_text)
    settings = engine.settings
    return WorkflowEngine(
        text, max_ops=settings.max_loops, debug=settings.flux_debug, source=source
    )
