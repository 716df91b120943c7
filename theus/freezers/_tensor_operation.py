"""One operation of torch on tensors of the state, as their classes say.

An operation comes with a schema, which names the arguments that it writes to. Tensors of the
state are replaced by those that have the memory: for the arguments that are written to these
are asked for first. What comes back is wrapped again where it shows their memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["each", "operate"]

_UNDECLARED: dict[str, tuple[tuple[int, ...], int | None]] = {
    "aten::native_batch_norm": ((3, 4), 5),
    "aten::cudnn_batch_norm": ((3, 4), 5),
    "aten::miopen_batch_norm": ((3, 4), 5),
    "aten::batch_norm_update_stats": ((1, 2), None),
    "aten::batch_norm_gather_stats": ((3, 4), None),
    "aten::batch_norm_gather_stats_with_counts": ((3, 4), None),
}
"""Operations that write to running statistics without saying so: where these are, and where the
flag is that it depends on."""

_SHARING = ("aten::set_", "aten::_lazy_clone")
"""Operations that give the memory to another tensor."""


def each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Arguments with every tensor in them changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)([each(one, change) for one in value])
    if type(value) is dict:
        return {key: each(one, change) for key, one in value.items()}
    return value


@functools.cache
def _declared(func: Any) -> dict[int | str, bool]:
    """Where the arguments are that an operation writes to (position, name), and which are `out`."""
    found: dict[int | str, bool] = {}
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found[argument.name] = argument.is_out
            if not argument.kwarg_only:
                found[position] = argument.is_out
    return found


def operate(func: Any, args: Any, kwargs: Any, kind: Any) -> Any:
    """What `func` gives; tensors of the state are instances of `kind`.

    Inference mode hands in operations that consist of others, which their schema does not tell
    all about; they are taken apart.
    """
    found = func.decompose(*args, **kwargs)
    if found is not NotImplemented:
        return found
    return _Operation(func, args, kwargs, kind).run()


class _Operation:
    def __init__(self, func: Any, args: Any, kwargs: Any, kind: Any) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.kind = kind
        self.memory: dict[int, Any] = {}
        self.outs: list[tuple[Any, Any]] = []
        self.given: list[tuple[Any, Any]] = []

    def run(self) -> Any:
        writes = self.writes()
        for place in writes:
            each(self.at(place), self.take)
        args = each(self.args, self.bare)
        kwargs = {
            name: each(value, self.fresh if writes.get(name) else self.bare)
            for name, value in self.kwargs.items()
        }
        found = self.func(*args, **kwargs)
        for tensor, made in self.outs:
            self.fill(tensor, made)
        return self.answer(found, args, kwargs)

    def writes(self) -> dict[int | str, bool]:
        declared = _declared(self.func)
        if self.func._schema.name in _UNDECLARED:
            positions, flag = _UNDECLARED[self.func._schema.name]
            if flag is None or self.args[flag]:
                return declared | dict.fromkeys(positions, False)
        return declared

    def at(self, place: int | str) -> Any:
        if isinstance(place, str):
            return self.kwargs.get(place)
        return self.args[place] if place < len(self.args) else None

    # --- what goes in

    def take(self, tensor: Any) -> None:
        """Have the memory of a tensor that is written to, before those that are read."""
        if isinstance(tensor, self.kind) and id(tensor) not in self.memory:
            if torch.Tag.inplace_view in self.func.tags:
                tensor._refuse(self.func._schema.name.partition("::")[2])
            self.keep(tensor, tensor._writing())

    def bare(self, tensor: Any) -> Any:
        """What has the memory of a tensor."""
        if not isinstance(tensor, self.kind):
            return tensor
        if id(tensor) not in self.memory:
            if self.func._schema.name in _SHARING:
                tensor._refuse("the memory")
            self.keep(tensor, tensor._reading())
        return self.memory[id(tensor)]

    def fresh(self, tensor: Any) -> Any:
        """What a result goes to first: it may get a shape that the place cannot take."""
        if not isinstance(tensor, self.kind):
            return tensor
        made = torch.empty_like(self.memory[id(tensor)])
        self.outs.append((tensor, made))
        self.given.append((tensor, made))
        return made

    def keep(self, tensor: Any, memory: Any) -> None:
        self.memory[id(tensor)] = memory
        self.given.append((tensor, memory))

    # --- what comes out

    def fill(self, tensor: Any, made: Any) -> None:
        if made.shape != tensor.shape:
            tensor._refuse("the shape")
        self.memory[id(tensor)].copy_(made)

    def answer(self, found: Any, args: Any, kwargs: Any) -> Any:
        if isinstance(found, torch.Tensor):
            return self.out(found, args, kwargs, None)
        if type(found) in (tuple, list):
            return type(found)(
                self.out(one, args, kwargs, index) if isinstance(one, torch.Tensor) else one
                for index, one in enumerate(found)
            )
        return found

    def out(self, found: Any, args: Any, kwargs: Any, index: int | None) -> Any:
        for tensor, memory in self.given:
            if found is memory:
                return tensor
            if found.layout is not torch.strided or found.is_nested:
                return found.clone()
            if found.numel() and _storage(found) == _storage(memory):
                derive = functools.partial(_again, self.func, args, kwargs, memory, index)
                return tensor._part(found, derive)
        return found


def _storage(tensor: Any) -> int:
    return int(tensor.untyped_storage().data_ptr())


def _again(func: Any, args: Any, kwargs: Any, was: Any, index: int | None, memory: Any) -> Any:
    """The same operation with the memory that the place has now."""
    args, kwargs = each((args, kwargs), lambda one: memory if one is was else one)
    found = func(*args, **kwargs)
    return found if index is None else found[index]
