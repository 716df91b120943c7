"""Names to processes: everything about a process that can be known before it runs."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from theus._core.context import Spec
from theus._core.pattern import (
    CAN_PASS,
    CAN_READ,
    Position,
    compile_patterns,
    find,
    unlimited,
)
from theus._core.purity import watch
from theus.contracts.decorator import check_function, contract_of, home_of
from theus.contracts.duty import OutputDuty
from theus.contracts.effects import DeclaredEffects
from theus.contracts.firewall import check_contract
from theus.contracts.model import ProcessContract, SemanticType
from theus.contracts.output import plan_outputs
from theus.engine.settings import Settings
from theus.errors import RegistrationError, TheusError

__all__ = ["ProcessRegistry"]


class ProcessRegistry:
    """The processes of one engine.

    Thread-safe: one lock around registration; look-ups take none. `direct` is where callers keep
    what they have resolved: a name that is registered again is taken out of it. `expect` may refuse
    a contract; None: nothing is expected.
    """

    def __init__(
        self,
        settings: Settings,
        services: Any,
        report: Callable[[TheusError], None],
        direct: dict[Any, Spec],
    ) -> None:
        self._direct = direct
        self.expect: Callable[[ProcessContract], None] | None = None
        self._settings = settings
        self._services = services
        self._report = report
        self._specs: dict[Any, Spec] = {}
        self._functions: dict[str, Callable[..., Any]] = {}
        self._lock = threading.Lock()
        self.view: Mapping[str, Callable[..., Any]] = MappingProxyType(self._functions)

    def register(self, func: Callable[..., Any]) -> Spec:
        """Register a decorated function under the name of its contract.

        Raises RegistrationError (no contract, a method, a name that is taken) and
        ContractViolationError (a zone that the semantic type has no access to).
        """
        check_function(func)
        contract = contract_of(func)
        check_contract(contract)
        if self.expect is not None:
            self.expect(contract)
        name = contract.name or func.__name__
        with self._lock:
            known = self._functions.get(name)
            if known is not None and known is not func and not _same_code(known, func):
                raise RegistrationError(
                    f"a process named {name!r} is registered already, from "
                    f"{known.__module__}.{known.__qualname__}; give one of them another name "
                    f"(@process(name=...) or the function's own)",
                    process=name,
                )
            spec = self._plan(
                name, func, contract, inspect.iscoroutinefunction(func), _accepted(func)
            )
            self._functions[name] = func
            self._specs[name] = spec
            self._specs[func] = spec
            self._direct.pop(name, None)
        return spec

    def resolve(self, key: Any) -> Spec:
        """The spec of a name or function; a decorated function is registered on first use."""
        spec = self._specs.get(key)
        if spec is not None:
            return spec
        if callable(key):
            return self.register(key)
        close = [name for name in self._functions if str(key).lower() in name.lower()]
        hint = f"; similar: {', '.join(sorted(close)[:3])}" if close else ""
        raise RegistrationError(
            f"there is no process {key!r}. Register it first (`engine.register(func)`){hint}. "
            f"Registered are: {', '.join(sorted(self._functions)) or 'none'}",
            process=str(key),
        )

    def variant(self, spec: Spec, func: Callable[..., Any], is_async: bool) -> Spec:
        """The same process with another body."""
        return self._plan(spec.name, func, spec.contract, is_async, spec.accepts)

    def anonymous(self, name: str, func: Callable[..., Any]) -> Spec:
        """A spec for a function that is not registered; its contract, or none."""
        contract = getattr(func, "contract", None)
        if not isinstance(contract, ProcessContract):
            contract = ProcessContract(name=name)
        check_contract(contract)
        return self._plan(name, func, contract, inspect.iscoroutinefunction(func), _accepted(func))

    def _plan(
        self,
        name: str,
        func: Callable[..., Any],
        contract: ProcessContract,
        is_async: bool,
        accepts: frozenset[str] | None,
    ) -> Spec:
        settings = self._settings
        mode = contract.contracts or settings.contracts
        looked_at = mode != "off"
        pure = contract.semantic is SemanticType.PURE
        outputs = plan_outputs(contract.outputs, name)
        targets = outputs.targets
        isolation = contract.isolation or settings.isolation
        timeout = contract.write_timeout_ms or settings.write_timeout_ms
        pos, out_pos = _positions(contract, mode)
        if pure and find(pos, ("heavy",)).flags & (CAN_READ | CAN_PASS):
            import_module("theus.engine.heavy_lane")  # not in its body, where imports are acts
        if pure and looked_at:
            watch()
        duty = OutputDuty(name, contract, home_of(func), pos.flags, self._report)
        effects = DeclaredEffects(name, contract.side_effects, pos.flags)
        return Spec(
            name=name,
            func=func,
            contract=contract,
            is_async=is_async,
            parallel=contract.parallel,
            pure=pure,
            watched=pure and looked_at,
            serializable=isolation == "serializable",
            write_timeout_ms=float(timeout or 0),
            pos=pos,
            out_pos=out_pos,
            single=targets[0] if len(targets) == 1 else None,
            outputs=outputs.assign if targets else None,
            accepts=accepts,
            errors=frozenset(contract.errors) if contract.errors and looked_at else None,
            effects=effects if contract.side_effects and looked_at else None,
            duty=duty if duty.exists and looked_at else None,
            services=self._services,
        )


def _positions(contract: ProcessContract, mode: str) -> tuple[Position, Position]:
    """What a process may touch in place, and what it may return."""
    pure = contract.semantic is SemanticType.PURE
    looked_at, report = mode != "off", mode == "report"
    if looked_at and contract.limited:
        readable = contract.inputs if pure else (*contract.inputs, *contract.outputs)
        writable = () if pure else contract.outputs
        return (
            compile_patterns(readable, writable, True, report),
            compile_patterns((), contract.outputs, True, report),
        )
    out_pos = unlimited(looked_at, report)
    if pure:
        return compile_patterns(("**",), (), looked_at, report), out_pos
    return out_pos, out_pos


def _same_code(known: Callable[..., Any], func: Callable[..., Any]) -> bool:
    """Whether two functions come from the same place (a module that was imported again)."""
    return (known.__module__, known.__qualname__) == (
        func.__module__,
        func.__qualname__,
    ) and getattr(known, "__code__", None) == getattr(func, "__code__", None)


def _accepted(func: Callable[..., Any]) -> frozenset[str] | None:
    """Names of the keyword arguments a function takes; None for any."""
    parameters = list(inspect.signature(func).parameters.values())
    if any(item.kind is item.VAR_KEYWORD for item in parameters):
        return None
    return frozenset(
        item.name
        for item in parameters[1:]
        if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)
    )
