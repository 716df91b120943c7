"""Every option of the engine and every THEUS_* variable, read once, frozen."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from theus.contracts.model import CONTRACT_MODES, ISOLATION_LEVELS
from theus.errors import SettingsError

__all__ = ["Settings"]


def _variable(name: str, parse: Callable[[str], Any], default: Any) -> Any:
    return field(default=default, metadata={"variable": name, "parse": parse})


def _number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("must be at least 1")
    return value


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("must be 1 or 0")


@dataclass(frozen=True)
class Settings:
    """What an engine was told, by its arguments or by the environment.

    contracts:
        "enforce": what a contract does not allow is refused. "report": it is let through and
        collected in `engine.violations`. "off": nobody looks. A process may say otherwise.
    strict_cas:
        `compare_and_swap` refuses every version mismatch.
    isolation:
        "serializable" (reads are validated) or "snapshot" (only writes are).
    write_timeout_ms:
        Longest time from the start of a process to its commit; None: no limit.
    max_retries, base_backoff_ms:
        Failures before a call takes a ticket, and the first wait.
    lease_ms:
        How long a ticket holder may keep others waiting in one turn.
    history, history_bytes:
        How many commits the log of deltas keeps, and how much memory they may take, by estimate.
    time_travel:
        Keep every version of the log readable (`state_at`, `bisect`, `diff` of numbers).
    keep_reads:
        Keep in the log what each commit had read (`why`, and the reads of `blame`).
    meta_capacity:
        How many entries the meta log keeps.
    pool, pool_size:
        Where parallel processes run (None: "processes") and how many workers there are (None: one
        per core).
    use_processes:
        "processes" is meant where `pool` is "auto".
    pool_options:
        Further options of the pool by name, such as ``{"carry": ["app:USER"], "max_tasks": 1000}``.
    max_loops, flux_debug:
        Limit of operations of a workflow; whether its steps are logged.
    heap_mb, registry_dir, spill_dir:
        Capacity of the heavy zone in MB, where its segments are recorded (None: the run-time
        directory of this user), and a directory for arrays that have no room (None: an error).
    """

    contracts: str = "enforce"
    strict_cas: bool = False
    isolation: str = "serializable"
    write_timeout_ms: float | None = None
    max_retries: int = 5
    base_backoff_ms: float = 2.0
    lease_ms: float = 5000.0
    history: int = 4096
    history_bytes: int = 64 << 20
    time_travel: bool = False
    keep_reads: bool = False
    meta_capacity: int = 1000
    pool: str | None = None
    pool_size: int | None = _variable("THEUS_POOL_SIZE", _number, None)
    pool_options: Mapping[str, Any] = field(default_factory=dict)
    use_processes: bool = _variable("THEUS_USE_PROCESSES", _flag, False)
    max_loops: int = _variable("THEUS_MAX_LOOPS", _number, 10_000)
    flux_debug: bool = _variable("THEUS_FLUX_DEBUG", _flag, False)
    heap_mb: int = _variable("THEUS_HEAP_SIZE", _number, 512)
    registry_dir: str | None = _variable("THEUS_REGISTRY", str, None)
    spill_dir: str | None = _variable("THEUS_SPILL_DIR", str, None)

    def __post_init__(self) -> None:
        self._one_of("isolation", ISOLATION_LEVELS)
        self._one_of("contracts", CONTRACT_MODES)
        for name in (
            "max_retries",
            "history",
            "history_bytes",
            "meta_capacity",
            "max_loops",
            "heap_mb",
        ):
            self._at_least(name, 1)
        for name in ("base_backoff_ms", "lease_ms", "write_timeout_ms", "pool_size"):
            if getattr(self, name) is not None:
                self._at_least(name, 0)

        self._check_pool_options()

    @property
    def strict_mode(self) -> bool:
        """Whether contracts are enforced."""
        return self.contracts == "enforce"

    @property
    def pool_name(self) -> str:
        """The backend of the worker pool."""
        if self.pool is None or (self.pool == "auto" and self.use_processes):
            return "processes"
        return self.pool

    def _one_of(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise SettingsError(
                f"{name} must be one of {', '.join(choices)}, got {value!r}",
                option=name,
                value=value,
            )

    def _check_pool_options(self) -> None:
        given = self.pool_options
        if not isinstance(given, Mapping) or not all(
            isinstance(name, str) and name not in ("size", "heap") for name in given
        ):
            raise SettingsError(
                f"pool_options must be a mapping of options of the pool (its size is pool_size), "
                f"got {given!r}",
                option="pool_options",
                value=given,
            )

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value < least:
            raise SettingsError(
                f"{name} must be a number of at least {least}, got {value!r}",
                option=name,
                value=value,
            )

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Arguments first (None: not given), then the environment, then the defaults.

        Raises SettingsError for an unknown option or a value that cannot be used.
        """
        source = os.environ if environment is None else environment
        known = {item.name: item for item in fields(cls)}
        for name in given:
            if name not in known:
                raise SettingsError(
                    f"unknown option {name!r}; known are {', '.join(sorted(known))}",
                    option=name,
                    value=given[name],
                )
        values = {name: value for name, value in given.items() if value is not None}
        for name, item in known.items():
            variable = item.metadata.get("variable")
            if variable is not None and name not in values and source.get(variable):
                values[name] = _parse(variable, item.metadata["parse"], source[variable])
        return cls(**values)


def _parse(variable: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise SettingsError(
            f"environment variable {variable}={text!r} cannot be used: {error}",
            option=variable,
            value=text,
        ) from error
