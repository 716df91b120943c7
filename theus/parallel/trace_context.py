"""The trace that a task belongs to, across the border of a process (W3C trace context)."""

from __future__ import annotations

__all__ = ["carried", "restore"]


def carried() -> dict[str, str]:
    """What a worker has to know of the span that is current here."""
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def restore(carrier: dict[str, str]) -> None:
    """Continue a trace, for the rest of the current `contextvars.Context`."""
    from opentelemetry import context, propagate

    context.attach(propagate.extract(carrier))
