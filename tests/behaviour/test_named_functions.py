"""Promise: `execute_process_async(name, func)` runs any function with a process context."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from theus import ContractViolationError, SemanticType, TheusEngine, process
from theus.errors import EngineClosedError

START = {"domain": {"n": 0}}


def _await(engine: TheusEngine, *args: Any, **kwargs: Any) -> Any:
    async def main() -> Any:
        return await engine.execute_process_async(*args, **kwargs)

    return asyncio.run(main())


def test_async_functions_run_on_the_thread_of_the_loop() -> None:
    async def where(ctx: Any) -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    with TheusEngine() as engine:
        assert _await(engine, "where", where) == threading.get_ident()


def test_sync_functions_run_on_another_thread_and_the_loop_goes_on() -> None:
    async def main(engine: TheusEngine) -> int:
        go = threading.Event()

        def where(ctx: Any) -> int:
            assert go.wait(30)
            return threading.get_ident()

        call = asyncio.ensure_future(engine.execute_process_async("where", where))
        await asyncio.sleep(0)
        go.set()
        return await call

    with TheusEngine() as engine:
        assert asyncio.run(main(engine)) != threading.get_ident()


def test_it_is_a_transaction_with_the_name_given() -> None:
    def body(ctx: Any, by: int, *, scale: int = 1) -> str:
        ctx.domain.n += by * scale
        return ctx.process

    with TheusEngine(START) as engine:
        assert _await(engine, "given", body, 2, scale=3) == "given"
        assert engine.state.domain.n == 6
        assert engine.state.version == 2
        assert "given" not in engine.registry


@pytest.mark.parametrize("is_async", [False, True])
def test_an_exception_is_raised_and_leaves_no_trace(is_async: bool) -> None:
    def body(ctx: Any) -> None:
        ctx.domain.n = 9
        raise ValueError("no")

    async def body_async(ctx: Any) -> None:
        body(ctx)

    with TheusEngine(START) as engine:
        before = engine.state
        with pytest.raises(ValueError, match="no"):
            _await(engine, "body", body_async if is_async else body)
        assert engine.state is before


def test_conflicts_are_retried() -> None:
    async def body(ctx: Any) -> None:
        seen = ctx.domain.n
        await asyncio.sleep(0)
        ctx.domain.n = seen + 1

    async def main(engine: TheusEngine) -> None:
        await asyncio.gather(*(engine.execute_process_async("body", body) for _ in range(16)))

    with TheusEngine(START) as engine:
        asyncio.run(main(engine))
        assert engine.state.domain.n == 16
        assert engine.stats()["conflicts"] > 0


def test_a_contract_of_the_function_holds() -> None:
    @process(inputs=["domain.other"], outputs=["domain.n"])
    def body(ctx: Any) -> int:
        return ctx.domain.n + 1 if ctx.domain.get("other") else 3

    @process(inputs=["domain.n"], semantic=SemanticType.PURE)
    def writes(ctx: Any) -> None:
        ctx.domain.n = 9

    with TheusEngine(START) as engine:
        assert _await(engine, "body", body) == 3
        assert engine.state.domain.n == 3
        with pytest.raises(ContractViolationError):
            _await(engine, "writes", writes)
        assert engine.state.domain.n == 3


def test_after_the_shutdown_it_is_refused() -> None:
    engine = TheusEngine()
    engine.shutdown()
    with pytest.raises(EngineClosedError):
        _await(engine, "body", lambda ctx: None)
