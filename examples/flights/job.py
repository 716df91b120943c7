"""The whole job: an engine, its workflow, and what it leaves in the output folder."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flights.chart import draw
from flights.delivery import FindingsFile
from flights.processes import PROCESSES
from flights.state import FlightsSystem
from flights.tables import data_folder
from theus import TheusEngine

__all__ = ["Options", "Outcome", "run_job"]

HERE = Path(__file__).resolve().parent
PARTS = 16
LOOK_EVERY = 0.05

Watcher = Callable[[Any], None]
"""Is shown the domain while the workflow runs."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to do: where the files go, how many workers and partitions."""

    out: Path
    workers: int = 2
    parts: int = PARTS
    data: Path = field(default_factory=data_folder)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the job found and how it went; plain data."""

    summary: dict[str, Any]
    names: dict[str, Any]
    quality: dict[str, Any]
    findings: list[dict[str, Any]]
    steps: list[str]
    engine: dict[str, Any]
    heavy_bytes: int
    warnings: list[str]
    delivered: int
    seconds: float
    files: list[Path]


def run_job(options: Options, watch: Watcher | None = None) -> Outcome:
    """Run the workflow, deliver the findings, write the files; everything is shut down after.

    Raises
    ------
    TableError, DataMissingError
        The data is not there or not what it should be.
    AuditAbortError
        A rule of ``audit_recipe.yaml`` does not hold.
    """
    started = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        FindingsFile(options.out / "findings.jsonl") as file,
        TheusEngine(
            FlightsSystem(),
            audit_recipe=HERE / "audit_recipe.yaml",
            pool="processes",
            pool_size=options.workers,
        ) as engine,
    ):
        for function in PROCESSES:
            engine.register(function)
        engine.attach_worker(file.deliver)
        steps = asyncio.run(_watched(engine, options, watch))
        delivered = engine.process_outbox()
        domain = engine.state.domain.to_dict()
        outcome = Outcome(
            summary=domain["summary"],
            names=domain["names"],
            quality=domain["quality"],
            findings=domain["findings"],
            steps=steps,
            engine=engine.stats(),
            heavy_bytes=engine.heavy.stats().used,
            warnings=_warnings(engine),
            delivered=delivered,
            seconds=time.perf_counter() - started,
            files=[file.path, options.out / "flights.svg", options.out / "summary.json"],
        )
    _write(outcome)
    return outcome


async def _watched(engine: TheusEngine, options: Options, watch: Watcher | None) -> list[str]:
    """Run the workflow and show its state to `watch` again and again."""
    run = asyncio.create_task(
        engine.execute_workflow_async(
            HERE / "workflow.yaml",
            zone=engine.heavy,
            folder=str(options.data),
            parts=options.parts,
        )
    )
    while watch is not None and not run.done():
        watch(engine.state.domain)
        await asyncio.wait([run], timeout=LOOK_EVERY)
    steps = await run
    if watch is not None:
        watch(engine.state.domain)
    return steps


def _warnings(engine: TheusEngine) -> list[str]:
    """What audit rules counted without stopping the job."""
    audit = engine.audit
    if audit is None:
        return []
    failing = {key for key, count in audit.get_count_all().items() if count}
    return [entry.message for entry in audit.get_logs() if entry.key in failing]


def _write(outcome: Outcome) -> None:
    _, chart, summary = outcome.files
    chart.write_text(draw(outcome.summary, outcome.names), encoding="utf-8")
    content = {"summary": outcome.summary, "findings": outcome.findings, "engine": outcome.engine}
    summary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
