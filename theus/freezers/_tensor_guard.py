"""Tensors of the state inside a process: read without copying, written in a copy of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch

from theus._core.guard import LeafGuard
from theus.freezers._tensors import (
    FrozenTensor,
    StateTensor,
    behind,
    own_copy,
    wrapped,
)

__all__ = ["GuardedTensor", "guard_at", "place_of"]


class _Place(LeafGuard):
    """A place in the state that has a tensor, or a part of one."""

    _derived: tuple[_Place, Callable[[Any], Any]] | None = None
    _form: tuple[Any, ...] | None = None

    def _whole(self) -> Any:
        """What is at the place now; it has to look as it did."""
        held = self._held(torch.Tensor)
        form = (held.shape, held.stride(), held.storage_offset(), held.dtype, held.layout)
        if self._form is None:
            self._form = form
        if form != self._form:
            raise self._replaced()
        return held

    def _read(self) -> Any:
        """The memory as it is now, for operations that do not write."""
        if self._derived is not None:
            above, derive = self._derived
            return derive(above._read())
        held = self._whole()
        return held._reading() if isinstance(held, StateTensor) else held

    def _write(self) -> Any:
        """The process's own memory, made at the first write."""
        if self._derived is not None:
            above, derive = self._derived
            return derive(above._write())
        held = self._whole()
        self._replace(own_copy(held._reading()) if isinstance(held, FrozenTensor) else held)
        return self._held(torch.Tensor)

    def _detach(self) -> Any:
        """The tensor as it may leave the transaction: committed memory, or a copy."""
        place = self
        while place._derived is not None:
            place = place._derived[0]
        held = place._whole()
        if type(held) is not FrozenTensor:
            return self._read().detach().clone()
        if place is self:
            return held
        found = self._read()
        return wrapped(FrozenTensor, found, found)


class GuardedTensor(StateTensor):
    """A tensor of the state inside a process: a tensor, transactional.

    Stands for what is at its place. Reading works on the committed memory without copying it.
    The first write in place (items, slices and views of it, ``+=``, ``out=``, methods with a
    trailing underscore, functions that write) makes a copy of the process's own, which the commit
    takes over and a rollback forgets; it needs the right to write there, as every write does.

    `clone()` and computations give ordinary tensors, parts and views are guarded as well.
    """

    def _reading(self) -> Any:
        return behind(self)._read()

    def _writing(self) -> Any:
        return behind(self)._write()

    def _lasting(self) -> Any:
        return behind(self)._detach()

    def _part(self, found: Any, derive: Callable[[Any], Any]) -> Any:
        place = _Place.__new__(_Place)
        place._derived = (behind(self), derive)
        return wrapped(GuardedTensor, found, place)

    def _refuse(self, what: str) -> NoReturn:
        raise AttributeError(
            f"{what} of a tensor of the state reaches past the transaction and cannot be used. "
            f"Assign a tensor to its place instead of changing its form; take `tensor.clone()` for "
            f"what needs the memory.",
            name=what,
        )


def place_of(tensor: Any) -> Any:
    """The guard of the place that a tensor stands for."""
    return behind(tensor)


def guard_at(guard: Any, key: Any) -> Any:
    """A guarded tensor for what is at a key of a guard."""
    place = _Place(guard, key)
    return wrapped(GuardedTensor, place._read(), place)
