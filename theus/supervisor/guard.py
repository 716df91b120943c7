"""`ContextGuard`: a contract and the zones around any object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from theus._core.context import ProcessContext
from theus._core.path import SPELLINGS, parse_path
from theus._core.pattern import (
    CAN_PASS,
    CAN_READ,
    CAN_WRITE,
    Position,
    compile_patterns,
    find,
    unlimited,
)
from theus._core.refusal import access_refused, zone_refused
from theus._core.zone import ACTS, limits_of
from theus.supervisor.proxy import SequenceProxy, SupervisorProxy
from theus.supervisor.rights import ALL, Act
from theus.zones import ContextZone, ZoneRule, zone_rule

if TYPE_CHECKING:
    from theus._core.transaction import Transaction

__all__ = ["ContextGuard", "SequenceGuard"]


@final
class _Limited:
    """The rights that a contract and zones give at one place."""

    __slots__ = ("_admin", "_position", "_rule", "_strict", "_top")

    def __init__(
        self, position: Position, rule: ZoneRule, admin: bool, strict: bool, top: bool = False
    ) -> None:
        self._position = position
        self._rule = rule
        self._admin = admin
        self._strict = strict
        self._top = top

    @property
    def read_only(self) -> bool:
        """Whether parts that no guard is made for come out as copies."""
        free = self._rule.zone is ContextZone.DATA or (self._admin and self._rule.admin_lifts)
        return not (free and (self._admin or self._position.flags & CAN_WRITE))

    def below(self, key: Any) -> _Limited:
        """The first zone on the way decides."""
        position = find(self._position, (self._spelled(key),))
        return _Limited(position, self._rule_of(key), self._admin, self._strict)

    def read(self, parts: tuple[Any, ...], key: Any, container: bool) -> None:
        """Containers on the way to a declared path may be passed through."""
        if self._admin:
            return
        if key is ALL:
            flags = self._position.flags
        else:
            self._check_private(parts, key)
            flags = find(self._position, (self._spelled(key),)).flags
        if not flags & CAN_READ and not (container and flags & CAN_PASS):
            raise self._refusal("read", parts, key)

    def write(self, parts: tuple[Any, ...], key: Any, act: Act, present: bool) -> None:
        """The contract first, then the zone."""
        rule = self._rule if key is ALL else self._rule_of(key)
        if not self._admin:
            here = key is ALL or self._position.flags & CAN_WRITE
            position = self._position if here else find(self._position, (self._spelled(key),))
            if not position.flags & CAN_WRITE:
                raise self._refusal("write", parts, key)
            if key is not ALL:
                self._check_private(parts, key)
        if act == "assign" and present:
            act = "update"
        if not self._allowed(rule, act, inside=rule is self._rule):
            place = parts if key is ALL else (*parts, key)
            raise zone_refused(None, ACTS[act], place, limits_of(rule), None)

    def _allowed(self, rule: ZoneRule, act: Act, inside: bool) -> bool:
        limited = self._strict and not self._admin
        if act == "assign":
            if limited:
                return rule.append or rule.update
            return rule.admin_lifts or not inside
        if not limited and rule.admin_lifts:
            return True
        return {"append": rule.append, "update": rule.update, "delete": rule.delete}[act]

    def _rule_of(self, key: Any) -> ZoneRule:
        if self._rule.zone is ContextZone.DATA and isinstance(key, str):
            return zone_rule(key)
        return self._rule

    def _spelled(self, key: Any) -> Any:
        return SPELLINGS.get(key, key) if self._top and isinstance(key, str) else key

    def _check_private(self, parts: tuple[Any, ...], key: Any) -> None:
        if not self._strict or not isinstance(key, str):
            return
        if key.startswith("_") or self._rule_of(key).admin_only:
            raise self._refusal("private", parts, key)

    def _refusal(self, action: str, parts: tuple[Any, ...], key: Any) -> Exception:
        place = parts if key is ALL else (*parts, key)
        return access_refused(None, False, action, place, key is ALL, self._position)


class SequenceGuard(SequenceProxy):
    """A list under a `ContextGuard`, with the rights of its place."""

    __slots__ = ()


class ContextGuard(SupervisorProxy):
    """Shows a context, a mapping or an object under a contract: what is not declared is refused.

    The guards that processes get from an engine are others, compiled and transactional; this
    one is for code that has no engine, for tests, and for handing a part of a context to code
    that shall see no more of it. Parts come out under guards, at any depth. Writes change the
    target, or with `transaction` the transaction alone.

    Parameters
    ----------
    target:
        A mapping, a record, or the context of a process (all of its areas).
    inputs, outputs:
        Patterns as in `@process`. Where neither is given, nothing is limited.
    path_prefix:
        Where the target stands; patterns begin at the top of the state.
    transaction:
        Reads and writes are those of this transaction at `path_prefix`.
    is_admin:
        Only constants limit, as in `AdminTransaction`.
    strict_mode:
        Zones and private names limit as well; constants always do.

    Raises
    ------
    ContractViolationError
        At an access; a PermissionError too. It names the path, file and line, and the entry of
        the contract that would allow it.
    PathError
        A pattern or the prefix is malformed.
    """

    __slots__ = ()

    def __init__(
        self,
        target: Any,
        inputs: Iterable[str] | None = None,
        outputs: Iterable[str] | None = None,
        path_prefix: str = "",
        transaction: Transaction | None = None,
        is_admin: bool = False,
        strict_mode: bool = False,
    ) -> None:
        if isinstance(target, ProcessContext):
            target = target.data
        super().__init__(target, path_prefix, False, transaction)
        reads, writes = tuple(inputs or ()), tuple(outputs or ())
        position = compile_patterns(reads, writes, False) if reads or writes else unlimited(False)
        parts = parse_path(path_prefix) if path_prefix else ()
        rights = _Limited(position, zone_rule(""), is_admin, strict_mode, top=True)
        for key in parts:
            rights = rights.below(key)
        self._stand(self._target, parts, rights, transaction)


ContextGuard._of_mapping, ContextGuard._of_sequence = ContextGuard, SequenceGuard
SequenceGuard._of_mapping, SequenceGuard._of_sequence = ContextGuard, SequenceGuard
