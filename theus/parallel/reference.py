"""How a function is named so that another process finds the same one.

A function travels as module and qualified name. What the name leads to is checked before
anything is sent: the function itself, or a decorated form of it (`functools.wraps`), which is
then unwrapped as often as it was here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, NoReturn

from theus.errors import NotTransferableError

__all__ = ["FunctionRef", "reference", "resolve", "task_name"]

_MAIN = "__main__"


class FunctionRef(NamedTuple):
    """Where a function is found: its module, its name there, and how often to unwrap it."""

    module: str
    qualname: str
    depth: int


def task_name(function: object) -> str:
    """The name of a callable for messages: ``module.qualname`` where it has them."""
    inner = getattr(function, "func", function)  # what a partial calls
    name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
    module = getattr(inner, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) else str(name)


def reference(function: Callable[..., Any]) -> FunctionRef | Callable[..., Any]:
    """What to send for ``function``: a reference; the object itself where it is no function.

    Builtins, classes, partials, bound methods and other callable objects are left to pickle.
    Costs a few attribute look-ups.

    Raises
    ------
    NotTransferableError
        Another process could not find it: a lambda, a function inside a function, one of an
        interactive session, or one whose name now means something else.
    """
    if not isinstance(function, FunctionType):
        if not callable(function):
            raise TypeError(f"a task is a function, not {type(function).__name__} {function!r}")
        return function
    name = function.__qualname__
    module = _home(function, name)
    found = getattr(module, name, None)
    if found is function:
        return FunctionRef(function.__module__, name, 0)
    if "." in name:
        found = _walk(module, name)
    depth = _unwrapped(found, function)
    if depth is not None:
        return FunctionRef(function.__module__, name, depth)
    for name, value in vars(module).items():  # a second name, as of a copy with another contract
        if value is function:
            return FunctionRef(function.__module__, name, 0)
    _refuse(
        function,
        f"the name leads to {'nothing' if found is None else 'another object'} in its module",
    )


def _home(function: FunctionType, name: str) -> ModuleType:
    if "<" in name:
        what = "a lambda" if "<lambda>" in name else "defined inside another function"
        _refuse(function, f"it is {what}")
    module = sys.modules.get(function.__module__)
    if module is None:
        _refuse(function, f"its module {function.__module__!r} is not imported")
    if function.__module__ == _MAIN and not _importable(
        getattr(module, "__spec__", None) is not None, getattr(module, "__file__", None)
    ):
        _refuse(function, "the main program is no file (`python -c`, a prompt, a notebook)")
    return module


@cache
def _importable(has_spec: bool, path: str | None) -> bool:
    """Whether workers can run the main program again to find its functions."""
    return has_spec or (path is not None and os.path.exists(path))


def _walk(module: ModuleType, qualname: str) -> Any:
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _unwrapped(found: Any, function: FunctionType) -> int | None:
    """How many times to unwrap ``found`` to get ``function``; None if that never leads there."""
    depth, seen = 0, set()
    while found is not None and id(found) not in seen:
        if found is function:
            return depth
        seen.add(id(found))
        found = getattr(found, "__wrapped__", None)
        depth += 1
    return None


def _refuse(function: FunctionType, reason: str) -> NoReturn:
    name = f"{function.__module__}.{function.__qualname__}"
    raise NotTransferableError(
        f"Cannot send the function {name} to a worker: {reason}. Workers import functions by "
        f"module and name; define it at the top level of a module that can be imported.",
        what="function",
        name=name,
    )


def resolve(ref: tuple[str, str, int]) -> Callable[..., Any]:
    """The function a reference means, imported if need be; kept for later calls.

    Raises
    ------
    NotTransferableError
        It is not there, with the reason as its cause.
    """
    return _found(*ref)


@cache
def _found(module: str, qualname: str, depth: int) -> Callable[..., Any]:
    try:
        found: Any = sys.modules[_MAIN] if module == _MAIN else import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
        for _ in range(depth):
            found = found.__wrapped__
    except Exception as error:
        raise NotTransferableError(
            f"Cannot find the function {module}.{qualname} in the worker: "
            f"{type(error).__name__}: {error}. What is defined only under "
            f'`if __name__ == "__main__":`, or by code that workers do not run, is not there.',
            what="function",
            name=f"{module}.{qualname}",
        ) from error
    return found  # type: ignore[no-any-return]
