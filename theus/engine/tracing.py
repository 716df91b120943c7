"""Spans of OpenTelemetry: a call, its attempts, their commits, tasks of workers.

    process sell               one call of `run` or `execute`, with all its attempts
      attempt                  one transaction; spans of the process itself are below it
        task sell              its body in a worker, whose own spans are below it
        commit                 checks, install, hand-out

A call that joins the transaction of another has no attempts of its own. The API of OpenTelemetry
is imported by the first engine that is traced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from theus._version import __version__
from theus.errors import ConflictError
from theus.parallel.trace_context import carried

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

    from theus._core.context import Spec
    from theus._core.transaction import Transaction
    from theus.parallel import Outcome

__all__ = ["Tracer"]


class _Call:
    """What a call came to so far."""

    def __init__(self) -> None:
        self.attempts = 0
        self.version = 0


class _Traced:
    """The open spans of one transaction."""

    def __init__(self, call: _Call | None, attempt: Span | None, token: Any) -> None:
        self.call = call
        self.attempt = attempt
        self.token = token
        self.commit: Span | None = None


_current: ContextVar[_Call | None] = ContextVar("theus_traced_call", default=None)


class Tracer:
    """Makes the spans of one engine; a participant of its commits. Safe to use from any thread."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import context, trace

        self._context = context
        self._trace = trace
        self._tracer = provider.get_tracer("theus", __version__)

    # --- calls ---------------------------------------------------------------------------------

    def run(
        self, call: Callable[..., Any], spec: Spec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """`call(spec, args, kwargs)`, in a span."""
        with self._calling(spec):
            return call(spec, args, kwargs)

    async def execute(
        self,
        call: Callable[..., Awaitable[Any]],
        spec: Spec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The same, awaited."""
        with self._calling(spec):
            return await call(spec, args, kwargs)

    @contextmanager
    def _calling(self, spec: Spec) -> Iterator[None]:
        call = _Call()
        facts = {"theus.process": spec.name, "theus.semantic": spec.contract.semantic.value}
        with self._active(f"process {spec.name}", facts) as span:
            token = _current.set(call)
            try:
                yield
            finally:
                if _current.get() is call:  # not where a coroutine is closed by somebody else
                    _current.reset(token)
                span.set_attribute("theus.attempts", call.attempts)
                span.set_attribute("theus.joined", call.attempts == 0)
                if call.version:
                    span.set_attribute("theus.version", call.version)

    @contextmanager
    def _active(self, name: str, facts: dict[str, Any]) -> Iterator[Span]:
        """A span that is the current one in the block."""
        span = self._tracer.start_span(name, attributes=facts)
        token = self._attach(span)
        try:
            yield span
        except BaseException as error:
            self._blame(span, error)
            raise
        finally:
            self._detach(span, token)
            span.end()

    # --- attempts and commits --------------------------------------------------------------------

    def opened(self, tx: Transaction, spec: Spec) -> None:
        """An attempt begins, in the context in which its body will run."""
        call = _current.get()
        if call is None:  # the call is older than the tracing
            return
        call.attempts += 1
        facts: dict[str, Any] = {
            "theus.process": spec.name,
            "theus.attempt": call.attempts,
            "theus.snapshot": tx.version,
        }
        span = self._tracer.start_span("attempt", attributes=facts)
        tx.trace = _Traced(call, span, self._attach(span))

    def prepare(self, tx: Transaction, spec: Spec | None) -> None:
        """The commit begins."""
        if tx.trace is None:
            tx.trace = _Traced(None, None, None)
        facts: dict[str, Any] = {"theus.process": tx.process} if tx.process else {}
        tx.trace.commit = self._tracer.start_span("commit", attributes=facts)

    def publish(self, tx: Transaction, spec: Spec | None) -> None:
        """The commit is visible."""
        traced = self._take(tx)
        if traced is None:
            return
        if traced.call is not None:
            traced.call.version = tx.committed_version
        for span in (traced.commit, traced.attempt):
            if span is not None:
                span.set_attribute("theus.version", tx.committed_version)
                span.end()

    def discard(self, tx: Transaction, error: BaseException) -> None:
        """The attempt had no effect."""
        traced = self._take(tx)
        if traced is None:
            return
        for span in (traced.commit, traced.attempt):
            if span is not None:
                self._blame(span, error)
                span.end()

    def failed(self, tx: Transaction, spec: Spec, error: BaseException) -> None:
        """A body or a check raised."""
        self.discard(tx, error)

    def _take(self, tx: Transaction) -> _Traced | None:
        traced: _Traced | None = tx.trace
        tx.trace = None
        if traced is not None and traced.attempt is not None:
            self._detach(traced.attempt, traced.token)
        return traced

    # --- tasks of workers ------------------------------------------------------------------------

    @contextmanager
    def task(self, name: str) -> Iterator[Callable[[Outcome], None]]:
        """A body in a worker; the block tells what came of it."""
        with self._active(f"task {name}", {"theus.process": name}) as span:

            def done(outcome: Outcome) -> None:
                span.set_attribute("theus.worker", outcome.worker)
                span.set_attribute("theus.seconds", outcome.seconds)

            yield done

    @staticmethod
    def carried() -> dict[str, str]:
        """What the worker has to know of the current span."""
        return carried()

    # --- spans -----------------------------------------------------------------------------------

    def _attach(self, span: Span) -> Any:
        return self._context.attach(self._trace.set_span_in_context(span))

    def _detach(self, span: Span, token: Any) -> None:
        if self._trace.get_current_span() is span:  # else this is another context
            self._context.detach(token)

    def _blame(self, span: Span, error: BaseException) -> None:
        if isinstance(error, ConflictError):
            facts = error.fields
            span.set_attribute("theus.conflict.paths", list(facts.get("paths") or ()))
            if facts.get("other"):
                span.set_attribute("theus.conflict.process", facts["other"])
        span.record_exception(error)
        text = f"{type(error).__name__}: {error}"
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, text))
