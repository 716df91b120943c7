"""Promise: set-up code writes by `edit()` as one commit; no commit path goes round the schema."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

from theus import BaseDomainContext, BaseSystemContext, SchemaViolationError, TheusEngine, process
from theus.errors import ConflictError, TheusError


@dataclasses.dataclass
class Shop(BaseDomainContext):
    n: int = 0
    xs: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Root(BaseSystemContext):
    domain: Shop = dataclasses.field(default_factory=Shop)


class Domain(pydantic.BaseModel):
    n: int
    xs: list[int]


class Schema(pydantic.BaseModel):
    domain: Domain


def test_edit_is_one_commit() -> None:
    with TheusEngine(Root()) as engine:
        with engine.edit() as context:
            context.domain.n = 5
            context.domain.xs.append(1)
            assert engine.state.version == 1
        assert engine.state.version == 2
        assert engine.state.domain.to_dict() == {"n": 5, "xs": [1]}


def test_edit_without_a_context_gives_a_transaction() -> None:
    with TheusEngine() as engine:
        with engine.edit() as context:
            context.domain.x = 1
        assert engine.state.domain.x == 1


def test_an_exception_in_edit_changes_nothing() -> None:
    with TheusEngine(Root()) as engine:
        before = engine.state
        with pytest.raises(ZeroDivisionError), engine.edit() as context:
            context.domain.n = 5
            raise ZeroDivisionError
        assert engine.state is before


def test_edit_raises_where_the_state_changed_meanwhile() -> None:
    with TheusEngine(Root()) as engine:
        with pytest.raises(TheusError), engine.edit() as context:
            context.domain.n = 5
            engine.compare_and_swap(1, data={"domain": {"n": 7}})
        assert engine.state.domain.n == 7


WRONG: dict[str, Any] = {
    "run": lambda engine: engine.run(process(outputs=["domain.n"])(lambda ctx: "no number")),
    "swap": lambda engine: engine.compare_and_swap(1, data={"domain": {"n": "no number"}}),
    "block": lambda engine: _block(engine),
    "begin": lambda engine: _begin(engine),
    "attempts": lambda engine: _attempts(engine),
    "edit": lambda engine: _edit(engine),
}


def _block(engine: TheusEngine) -> None:
    with engine.transaction() as tx:
        tx.delete("domain.n")


def _begin(engine: TheusEngine) -> None:
    tx = engine.begin()
    tx.domain.xs.append("no number")
    tx.commit()


def _attempts(engine: TheusEngine) -> None:
    for attempt in engine.attempts():
        with attempt as tx:
            tx.domain.n = "no number"


def _edit(engine: TheusEngine) -> None:
    with engine.edit() as context:
        context.domain.n = "no number"


@pytest.mark.parametrize("way", WRONG)
def test_no_way_round_the_schema(way: str) -> None:
    with TheusEngine(Root(), schema=Schema) as engine:
        before = engine.state
        with pytest.raises(SchemaViolationError, match="Schema Violation"):
            WRONG[way](engine)
        assert engine.state is before
        engine.set_schema(None)
        engine.compare_and_swap(1, data={"domain": {"n": "no number"}})
        assert engine.state.domain.n == "no number"


def test_the_present_state_must_fit_a_new_schema() -> None:
    with TheusEngine({"domain": {"n": "no number", "xs": []}}) as engine:
        with pytest.raises(SchemaViolationError):
            engine.set_schema(Schema)
        engine.compare_and_swap(1, data={"domain": {"n": "still none"}})


def test_the_whole_result_is_checked_not_the_part_that_changed() -> None:
    with TheusEngine(Root(), schema=Schema) as engine:
        engine.compare_and_swap(1, data={"domain": {"n": 4}})
        assert engine.state.domain.to_dict() == {"n": 4, "xs": []}


class Pause:
    """A schema whose check stops the first commit, until another thread has done something."""

    def __init__(self, engine: TheusEngine, act: Callable[[], Any]) -> None:
        self.armed = False
        self.stopped, self.go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.work, args=(act,))
        self.thread.start()

        class Loose(pydantic.BaseModel):
            domain: Any

            @pydantic.field_validator("domain")
            @classmethod
            def stop(cls, value: Any) -> Any:
                if self.armed:
                    self.armed = False
                    self.stopped.set()
                    assert self.go_on.wait(30)
                return value

        engine.set_schema(Loose)
        self.armed = True

    def work(self, act: Callable[[], Any]) -> None:
        assert self.stopped.wait(30)
        try:
            act()
        finally:
            self.go_on.set()


def test_a_commit_under_way_is_checked_by_a_new_schema() -> None:
    with TheusEngine(Root()) as engine:
        pause = Pause(engine, lambda: engine.set_schema(Schema))
        tx = engine.begin()
        tx.domain.n = "no number"
        with pytest.raises(ConflictError, match="what the engine checks changed"):
            tx.commit()
        pause.thread.join()
        assert engine.state.version == 1


def test_a_process_under_way_runs_again_under_a_new_schema() -> None:
    @process(outputs=["domain.n"])
    def write(ctx: Any, value: Any) -> None:
        ctx.domain.n = value

    with TheusEngine(Root()) as engine:
        engine.register(write)
        for value in (3, "no number"):
            pause = Pause(engine, lambda: engine.set_schema(Schema))
            try:
                engine.run("write", value=value)
            except SchemaViolationError as error:
                assert value != 3
                assert error.process == "write"
            pause.thread.join()
        assert engine.state.domain.n == 3
        assert engine.state.version == 2


def test_a_schema_that_is_refused_leaves_the_one_before() -> None:
    class Small(pydantic.BaseModel):
        domain: dict[str, int]

    with TheusEngine(Root(), schema=Schema) as engine:
        with pytest.raises(SchemaViolationError):
            engine.set_schema(Small)
        engine.compare_and_swap(1, data={"domain": {"xs": [1]}})
        with pytest.raises(SchemaViolationError):
            engine.compare_and_swap(2, data={"domain": {"n": "no number"}})


def test_no_schema_lets_a_commit_under_way_pass() -> None:
    with TheusEngine(Root()) as engine:
        pause = Pause(engine, lambda: engine.set_schema(None))
        engine.compare_and_swap(1, data={"domain": {"n": 7}})
        pause.thread.join()
        assert engine.state.domain.n == 7


def test_processes_commit_after_the_schema_was_taken_away() -> None:
    @process(inputs=["domain.n"], outputs=["domain.n"])
    def up(ctx: Any) -> int:
        return int(ctx.domain.n) + 1

    with TheusEngine({"domain": {"n": 1, "xs": []}}, schema=Schema) as engine:
        engine.register(up)
        engine.run(up)
        engine.set_schema(None)
        engine.run(up)
        assert (engine.state.domain.n, engine.stats()["conflicts"]) == (3, 0)
