"""Processes and contracts as a type checker sees them; checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

from theus import ContractViolationError, SemanticType, process
from theus.errors import TheusError


@process(inputs=["domain.orders"], outputs=["domain.total"])
def total(ctx: Any, factor: int = 1) -> int:
    return factor * len(ctx.domain.orders)


@process(semantic=SemanticType.PURE, inputs=["domain.total"])
async def read_total(ctx: Any) -> str:
    return str(ctx.domain.total)


@process
def bare(ctx: Any) -> None:
    ctx.domain.seen = True


def decorated_functions_keep_their_signatures() -> None:
    assert_type(total(object(), 2), int)
    total(object(), "2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(bare(object()), None)


def contracts_take_names(names: list[str], wrong: int) -> None:
    process(inputs=names, outputs=tuple(names), errors=[ValueError, "KeyError"])
    process(inputs=wrong)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def errors_carry_fields_and_codes(error: ContractViolationError) -> None:
    assert_type(error.code, str)
    assert_type(error.remedy, str)
    assert_type(error.fields, dict[str, Any])
    as_built_in: PermissionError = error
    as_ours: TheusError = error
    print(as_built_in, as_ours, error.path)
