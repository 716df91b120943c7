"""The `@process` decorator."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast, overload

from theus.contracts.model import ProcessContract, SemanticType
from theus.errors import RegistrationError

__all__ = ["check_function", "contract_of", "home_of", "process"]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def process(inputs: F) -> F: ...


@overload
def process(
    inputs: Iterable[str] | None = None,
    outputs: Iterable[str] | None = None,
    semantic: SemanticType | str = SemanticType.EFFECT,
    errors: Iterable[str | type[BaseException]] | None = None,
    side_effects: Iterable[str] | None = None,
    parallel: bool = False,
    *,
    isolation: str | None = None,
    write_timeout_ms: float | None = None,
    contracts: str | None = None,
    require_outputs: bool = False,
    name: str | None = None,
) -> Callable[[F], F]: ...


def process(
    inputs: Any = None,
    outputs: Any = None,
    semantic: Any = SemanticType.EFFECT,
    errors: Any = None,
    side_effects: Any = None,
    parallel: bool = False,
    *,
    isolation: str | None = None,
    write_timeout_ms: float | None = None,
    contracts: str | None = None,
    require_outputs: bool = False,
    name: str | None = None,
) -> Any:
    """Declare a function as a process; with arguments, or bare.

    The function stays what it is: it is returned itself, with its contract at
    ``func.contract``, and can be called directly in a test with any object as ``ctx``.
    A function that already has a contract is copied, so that each copy keeps its own.

    For the arguments see `ProcessContract`.

    Raises
    ------
    RegistrationError
        An argument has the wrong type or value, or the decorated object cannot carry a
        contract.

    >>> @process(inputs=["domain.a"], outputs=["domain.b"])
    ... def double(ctx):
    ...     return ctx.domain.a * 2
    >>> double.contract.outputs
    ('domain.b',)
    """
    if callable(inputs) or isinstance(inputs, (staticmethod, classmethod)):
        return process()(cast("Callable[..., Any]", inputs))

    def declare(func: Any) -> Any:
        inner = getattr(func, "__func__", func)
        title: str = name or str(getattr(inner, "__name__", type(func).__name__))
        contract = ProcessContract(
            inputs=inputs,
            outputs=outputs,
            semantic=semantic,
            errors=errors,
            side_effects=side_effects,
            parallel=parallel,
            isolation=isolation,
            write_timeout_ms=write_timeout_ms,
            contracts=contracts,
            require_outputs=require_outputs,
            name=title,
        )
        return _attach(func, contract)

    return declare


def _attach(func: Any, contract: ProcessContract) -> Any:
    if not callable(func) and not isinstance(func, classmethod):
        raise RegistrationError(
            f"@process decorates a function, not {type(func).__name__} {func!r}; name the "
            f"arguments of the decorator: @process(inputs=[...], outputs=[...])",
            process=contract.name,
        )
    if isinstance(func, types.FunctionType) and "contract" in vars(func):
        func = _copy(func)
    carriers: list[Any] = [func]
    if isinstance(func, (staticmethod, classmethod)):
        carriers.append(func.__func__)
    try:
        for carrier in carriers:
            carrier.contract = contract
    except AttributeError:
        raise RegistrationError(
            f"{contract.name!r} is a {type(func).__name__} and cannot carry a contract; wrap it "
            f"in a function of your own and decorate that",
            process=contract.name,
        ) from None
    return func


def _copy(func: types.FunctionType) -> types.FunctionType:
    copy = types.FunctionType(
        func.__code__, func.__globals__, func.__name__, func.__defaults__, func.__closure__
    )
    copy.__kwdefaults__ = func.__kwdefaults__
    copy.__annotations__ = func.__annotations__
    copy.__qualname__ = func.__qualname__
    copy.__module__ = func.__module__
    copy.__doc__ = func.__doc__
    copy.__dict__.update(func.__dict__)
    return copy


def contract_of(func: Any) -> ProcessContract:
    """The contract of a decorated function.

    Raises RegistrationError where there is none.
    """
    contract = getattr(func, "contract", None)
    if isinstance(contract, ProcessContract):
        return contract
    name = getattr(func, "__qualname__", repr(func))
    raise RegistrationError(
        f"{name} has no contract: decorate it with @process before it is registered",
        process=getattr(func, "__name__", ""),
    )


def check_function(func: Any) -> None:
    """Refuse what cannot run as a process: methods, classes, generators.

    Raises RegistrationError that says what to do instead. The decorator cannot tell a method
    from a function; registration can.
    """
    name = getattr(func, "__qualname__", repr(func))
    title = getattr(func, "__name__", "")
    if inspect.isclass(func) or not callable(func):
        raise RegistrationError(
            f"{name} is a {'class' if inspect.isclass(func) else type(func).__name__}, not a "
            f"function; a process is a function whose first argument is the context",
            process=title,
        )
    if _is_method(func):
        raise RegistrationError(
            f"{name} is a method: a process is a function whose first argument is the context. "
            f"Move it out of the class, or make it a static method that takes `ctx`.",
            process=title,
        )
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise RegistrationError(
            f"{name} is a generator: a process returns its result once. Collect the items and "
            f"return them as a list.",
            process=title,
        )


def _is_method(func: Any) -> bool:
    if inspect.ismethod(func) or isinstance(func, classmethod):
        return True
    if not inspect.isfunction(func):
        return False
    outer = func.__qualname__.rpartition(".")[0]
    if not outer or outer.endswith("<locals>"):
        return False
    code = func.__code__
    return bool(code.co_argcount) and code.co_varnames[0] in ("self", "cls")


def home_of(func: Callable[..., Any]) -> tuple[str, int]:
    """Where a function is defined, as (file, line)."""
    code = getattr(inspect.unwrap(func), "__code__", None)
    return ("", 0) if code is None else (code.co_filename, code.co_firstlineno)
