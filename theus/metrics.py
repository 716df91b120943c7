"""The metrics of engines in the text format that Prometheus scrapes.

Every metric is one entry of `METRICS`: its name, where `TheusEngine.stats` has it, and what it
says. Nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["CONTENT_TYPE", "METRICS", "Metric", "prometheus_text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of what `prometheus_text` gives."""


class _Measured(Protocol):
    def stats(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Parameters
    ----------
    name:
        Its name without the prefix `theus_`; those of counters end in `_total`.
    source:
        The key in `TheusEngine.stats()`; `part.key` where that is in a part that may be missing.
    help:
        What it says.
    label:
        Where the source is a mapping: the label that tells its entries apart.
    """

    name: str
    source: str
    help: str
    label: str | None = None

    @property
    def kind(self) -> Literal["counter", "gauge"]:
        """A counter only grows, a gauge moves both ways."""
        return "counter" if self.name.endswith("_total") else "gauge"

    def samples(self, stats: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], float]]:
        """(labels, value) of each number of this metric in a snapshot; none where it is missing."""
        part, _, key = self.source.rpartition(".")
        holder = stats[part] if part else stats
        if holder is None:
            return
        if self.label is None:
            yield {}, holder[key]
            return
        for entry, value in holder[key].items():
            yield {self.label: entry}, value


METRICS = (
    Metric("version", "version", "Version of the newest state."),
    Metric("commits_total", "commits", "Commits that changed the state."),
    Metric("aborts_total", "aborts", "Transactions that ended without effect.", "cause"),
    Metric("attempts_total", "attempts", "Attempts of calls and of retry loops."),
    Metric("retries_total", "retries", "Attempts that lost to another commit and were repeated."),
    Metric("failures_total", "failures", "Calls of processes that raised an error."),
    Metric("tickets_total", "tickets", "Calls that took priority after too many conflicts."),
    Metric("tickets_waiting", "waiting", "Calls that hold priority or queue for it."),
    Metric("waits_total", "waits", "Waits of calls, publishers included.", "reason"),
    Metric("wait_seconds_total", "wait_seconds", "Time spent in these waits.", "reason"),
    Metric("snapshots", "snapshots_alive", "Versions that somebody reads."),
    Metric("snapshot_lag_versions", "snapshot_lag", "Versions that the oldest of them is behind."),
    Metric("undo_records", "undo_records", "Records kept for readers of older versions."),
    Metric("history_commits", "history", "Commits in the log."),
    Metric("history_bytes", "history_bytes", "Memory of the log, by estimate."),
    Metric("heavy_bytes", "heavy.used", "Bytes of the heavy arrays that have a name."),
    Metric("heavy_lingering_bytes", "heavy.lingering", "Bytes of freed arrays still looked at."),
    Metric("heavy_capacity_bytes", "heavy.capacity", "Bytes the heavy zone may hold."),
    Metric("heavy_arrays", "heavy.arrays", "Heavy arrays that have a name."),
    Metric("outbox_pending", "outbox_pending", "Messages that wait for delivery."),
    Metric("outbox_delivered_total", "outbox_delivered", "Messages delivered."),
    Metric("signals_published_total", "signals_published", "Signals sent."),
    Metric("signals_dropped_total", "signals_dropped", "Signals that slow receivers lost."),
    Metric("signals_refused_total", "signals_refused", "Signals that full receivers refused."),
    Metric("signal_receivers", "receivers", "Receivers of signals."),
    Metric("pool_workers", "pool.size", "Workers wanted."),
    Metric("pool_workers_ready", "pool.ready", "Workers that are warmed up."),
    Metric("pool_workers_busy", "pool.busy", "Workers that have a task."),
    Metric("pool_tasks_pending", "pool.pending", "Tasks that are not finished."),
    Metric("pool_tasks_submitted_total", "pool.submitted", "Tasks taken."),
    Metric("pool_tasks_finished_total", "pool.finished", "Tasks finished, with or without error."),
    Metric("pool_tasks_failed_total", "pool.failed", "Tasks that ended with an error."),
    Metric("pool_tasks_retried_total", "pool.retried", "Tasks tried again after a worker died."),
    Metric("pool_timeouts_total", "pool.timeouts", "Tasks that ran over their limit."),
    Metric("pool_worker_deaths_total", "pool.deaths", "Workers that ended unasked."),
)


def prometheus_text(engines: Mapping[str, _Measured]) -> str:
    """The metrics of engines, by the value of their label `engine`, in the text format 0.0.4.

    The names are yours: `prometheus_text({"orders": engine})`. Serve it as `CONTENT_TYPE`.
    """
    snapshots = {name: engine.stats() for name, engine in engines.items()}
    return "".join(line for metric in METRICS for line in _family(metric, snapshots))


def _family(metric: Metric, snapshots: Mapping[str, Mapping[str, Any]]) -> list[str]:
    name = f"theus_{metric.name}"
    lines = [
        f"{name}{{{_labels({'engine': engine, **labels})}}} {value!r}\n"
        for engine, stats in snapshots.items()
        for labels, value in metric.samples(stats)
    ]
    if not lines:
        return []
    return [f"# HELP {name} {metric.help}\n", f"# TYPE {name} {metric.kind}\n", *lines]


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
