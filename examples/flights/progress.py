"""Progress bars in the terminal, read off the state of the running job."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["ProgressBars"]


class ProgressBars:
    """A bar for each stage; a context manager that shows them, fed by `show`."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<26}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        add = self._progress.add_task
        self._load = add("Loading the tables", total=1)
        self._check = add("Checking them", total=1, start=False)
        self._analyse = add("Analysing partitions", total=None, start=False)
        self._merge = add("Merging partial results", total=None, start=False)
        self._tell = add("Telling the findings", total=1, start=False)

    def show(self, domain: Any) -> None:
        """Bring the bars to what `domain`, the state as it is now, says."""
        parts, merged = len(domain.parts), domain.merged
        analysed = merged + len(domain.partials)
        self._move(self._load, int(parts > 0), 1, started=True)
        self._move(self._check, int(len(domain.quality) > 0), 1, started=parts > 0)
        self._move(self._analyse, analysed, parts, started=len(domain.quality) > 0)
        self._move(self._merge, merged, parts, started=0 < parts == analysed)
        self._move(self._tell, int(len(domain.findings) > 0), 1, started=0 < parts == merged)

    def _move(self, task: Any, done: int, total: int, *, started: bool) -> None:
        if started and self._progress.tasks[task].start_time is None:
            self._progress.start_task(task)
        self._progress.update(task, completed=done, total=total or None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
