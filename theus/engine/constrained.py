"""Rules across keys: invariants of an engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, overload

from theus._core.invariant import add_invariant, remove_invariant
from theus._core.purity import refuse_in_pure, watch
from theus._core.watch import Invariant
from theus.engine.commit import InvariantParticipant
from theus.engine.historic import Historic
from theus.errors import RegistrationError

__all__ = ["Constrained"]

Rule = TypeVar("Rule", bound=Callable[..., Any])


class Constrained(Historic):
    """What an engine offers to keep rules that hold across keys."""

    @overload
    def invariant(self, rule: Rule, /) -> Rule: ...

    @overload
    def invariant(self, /, *, name: str | None = None) -> Callable[[Rule], Rule]: ...

    def invariant(self, rule: Any = None, /, *, name: str | None = None) -> Any:
        """A rule that holds for the result of every commit; a decorator, with or without a name.

        `rule(state)` gets a read-only view of the state as the commit would leave it (`domain`,
        `global_`, `data`, `heavy`), and says whether it holds: true or None. False, or any
        exception, refuses the commit with InvariantViolationError. It is asked again only when
        something that it read last time changes, before anything is visible and under no lock;
        what it read is validated with the commit, at every isolation level. It may do nothing
        but look, as a PURE process.

        Raises InvariantViolationError if it does not hold now, RegistrationError for a function
        that cannot be one, or a name that is taken.
        """
        if rule is None:
            return lambda given: self._add_invariant(given, name)
        return self._add_invariant(rule, name)

    def remove_invariant(self, name: str) -> None:
        """Keep a rule no more. RegistrationError where there is none of that name."""
        refuse_in_pure("remove an invariant", "theus.invariant")
        with self._invariants_lock:
            found = self._invariants.get(name)
            if found is None:
                known = ", ".join(map(repr, self._invariants)) or "none"
                raise RegistrationError(
                    f"there is no invariant {name!r}; there are: {known}", process=name
                )
            remove_invariant(self._store, found)
            del self._invariants[name]
            self._wire_invariants()

    @property
    def invariants(self) -> Mapping[str, Callable[..., Any]]:
        """The rules by name, in the order in which they are asked; read-only."""
        found = list(self._invariants.items())
        return MappingProxyType({name: each.func for name, each in found})

    def _add_invariant(self, rule: Any, name: str | None) -> Any:
        refuse_in_pure("add an invariant", "theus.invariant")
        name = _name_of(rule, name)
        watch()
        with self._invariants_lock:
            if name in self._invariants:
                raise RegistrationError(
                    f"there is an invariant {name!r} already; remove it first, or give this one "
                    f"another name: @engine.invariant(name=...)",
                    process=name,
                )
            self._refuse_closed()
            invariant = Invariant(name, rule)
            self._invariants[name] = invariant
            self._wire_invariants()
            try:
                add_invariant(self.begin, invariant)
            except BaseException:
                del self._invariants[name]
                self._wire_invariants()
                raise
        return rule

    def _wire_invariants(self) -> None:
        """Take part in commits as long as there is something to ask."""
        pipeline = self._pipeline
        if bool(self._invariants) is not (pipeline.invariants is not None):
            pipeline.invariants = InvariantParticipant() if self._invariants else None
            pipeline.wire(self._hooks)


def _name_of(rule: Any, name: str | None) -> str:
    """The name of a rule; RegistrationError where it cannot be one."""
    name = name or getattr(rule, "__name__", None) or type(rule).__name__
    called = getattr(rule, "__call__", rule)  # noqa: B004
    reason = None
    if not callable(rule):
        reason = f"{type(rule).__name__} is not a function of the state"
    elif any(
        kind(each)
        for each in (rule, called)
        for kind in (
            inspect.iscoroutinefunction,
            inspect.isasyncgenfunction,
            inspect.isgeneratorfunction,
        )
    ):
        reason = "it is asked in the middle of a commit and answers at once; write it without async"
    if reason is not None:
        raise RegistrationError(f"{name!r} cannot be an invariant: {reason}", process=name)
    return name
