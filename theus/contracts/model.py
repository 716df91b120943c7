"""What a process declares about itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from theus.errors import RegistrationError

__all__ = ["CONTRACT_MODES", "ISOLATION_LEVELS", "ProcessContract", "SemanticType"]

ISOLATION_LEVELS = ("serializable", "snapshot")
CONTRACT_MODES = ("enforce", "report", "off")


class SemanticType(str, Enum):
    """What kind of process it is.

    PURE computes from its declared inputs and returns values for its outputs; it sees no
    signals and no meta log and cannot write in place. EFFECT may write its outputs in place
    and act on the outside world. GUIDE is an EFFECT that steers a workflow.
    """

    PURE = "pure"
    EFFECT = "effect"
    GUIDE = "guide"


@dataclass(frozen=True)
class ProcessContract:
    """The declaration of one process: immutable data, checked when it is made.

    Parameters
    ----------
    inputs, outputs:
        Path patterns (``domain.user``, ``domain.user.*``, ``heavy.**``). What is written may
        also be read. A process that declares neither is not limited.
    semantic:
        A `SemanticType`, or its value as text.
    errors:
        Names (or classes) of the exceptions the process may raise.
    side_effects:
        Names of what it does to the outside world. Where there are any, the signals and messages
        that it sends have to be among them: a topic or a glob over topics (``alarm``,
        ``order_*``), one of one kind (``signal:alarm``, ``outbox:order_*``), or all of a kind
        (``signal``, ``outbox``).
    parallel:
        Whether it may run in a worker process.
    isolation:
        "serializable" or "snapshot"; None takes the engine's.
    write_timeout_ms:
        Longest time from the start to the commit; None takes the engine's.
    contracts:
        "enforce", "report" or "off"; None takes the engine's.
    require_outputs:
        Whether a run that ends without having written every output is refused.
    name:
        The name it is registered under; the decorator fills in the function's.

    Raises
    ------
    RegistrationError
        A part has the wrong type or value. Whether patterns are well formed and allowed for
        the semantic type is checked at registration, by `check_contract`.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    semantic: SemanticType = SemanticType.EFFECT
    errors: tuple[str, ...] = ()
    side_effects: tuple[str, ...] = ()
    parallel: bool = False
    isolation: str | None = None
    write_timeout_ms: float | None = None
    contracts: str | None = field(default=None, kw_only=True)
    require_outputs: bool = field(default=False, kw_only=True)
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        put = object.__setattr__
        for part in ("inputs", "outputs", "side_effects"):
            put(self, part, _texts(self.name, part, getattr(self, part)))
        put(self, "errors", _texts(self.name, "errors", _error_names(self.errors)))
        put(self, "semantic", _semantic(self.name, self.semantic))
        put(self, "parallel", bool(self.parallel))
        put(self, "require_outputs", bool(self.require_outputs))
        _check_choice(self.name, "isolation", ISOLATION_LEVELS, self.isolation)
        _check_choice(self.name, "contracts", CONTRACT_MODES, self.contracts)
        _check_timeout(self.name, self.write_timeout_ms)

    @property
    def limited(self) -> bool:
        """Whether the contract limits anything: False where it declares neither side."""
        return bool(self.inputs or self.outputs)


def _refuse(process: str, text: str) -> RegistrationError:
    where = f"process {process!r}" if process else "a process contract"
    return RegistrationError(f"{where}: {text}", process=process)


def _texts(process: str, part: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise _refuse(process, f"`{part}` is a list of texts, not {value!r}; write [{value!r}]")
    items = tuple(value)
    for item in items:
        if not isinstance(item, str):
            raise _refuse(process, f"`{part}` holds texts only, not {item!r}")
    return tuple(str.__str__(item) for item in items)


def _error_names(value: Any) -> Any:
    if isinstance(value, type):
        return (value.__name__,)
    if value is None or isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        return value
    return tuple(item.__name__ if isinstance(item, type) else item for item in value)


def _semantic(process: str, value: Any) -> SemanticType:
    if isinstance(value, str):
        for member in SemanticType:
            if value.lower() == member.value:
                return member
    known = ", ".join(f"SemanticType.{member.name}" for member in SemanticType)
    raise _refuse(process, f"`semantic` is one of {known}, not {value!r}")


def _check_choice(process: str, part: str, choices: tuple[str, ...], value: Any) -> None:
    if value is not None and value not in choices:
        known = " or ".join(repr(choice) for choice in choices)
        raise _refuse(process, f"`{part}` is {known} (or None), not {value!r}")


def _check_timeout(process: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise _refuse(process, f"`write_timeout_ms` is a number above 0 (or None), not {value!r}")
