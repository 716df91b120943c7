"""Tensors of the state: memory that only operations which do not write can get at.

A tensor that is handed out has no memory of its own. Every operation on it comes to
`StateTensor.__torch_dispatch__`, below torch's Python and above its kernels, and works there on
a tensor that nobody else can reach.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import torch

from theus.errors import ImmutableError, UnsupportedValueError
from theus.freezers._tensor_operation import each, operate

__all__ = [
    "FrozenTensor",
    "OwnTensor",
    "StateTensor",
    "behind",
    "frozen",
    "make_ready",
    "own_copy",
    "wrapped",
]

_ON_MEMORY = frozenset(("data_ptr", "const_data_ptr", "tolist", "__repr__", "__format__"))
"""Methods that read the memory without an operation."""

_WRITERS = frozenset(("apply_", "map_", "map2_"))
"""Methods that write to the memory without an operation."""

_SHARING = frozenset(
    ("untyped_storage", "storage", "_typed_storage", "share_memory_", "__dlpack__", "_lazy_clone")
)
"""Methods that hand the memory out."""

_DESCRIBING = frozenset(("requires_grad_", "retain_grad", "rename_", "__setstate__"))
"""Methods that change what is not the content."""

_OPERATORS = (
    *("__iadd__", "__isub__", "__imul__", "__itruediv__", "__idiv__", "__ifloordiv__"),
    *("__imod__", "__ipow__", "__iand__", "__ior__", "__ixor__", "__ilshift__", "__irshift__"),
)
_IN_PLACE = frozenset((*_OPERATORS, "__setitem__", "__set__"))


class OwnTensor(torch.Tensor):  # type: ignore[misc]
    """A process's own copy of a tensor of the state, from its first write to the commit."""

    __torch_function__ = torch._C._disabled_torch_function_impl


class StateTensor(torch.Tensor):  # type: ignore[misc]
    """Base of what the state hands out for a tensor; subclasses say what a write does."""

    __slots__ = ("_behind",)

    def _reading(self) -> Any:
        """The tensor with the memory, for an operation that only reads."""
        raise NotImplementedError

    def _writing(self) -> Any:
        """The tensor with the memory, for an operation that writes to it."""
        raise NotImplementedError

    def _lasting(self) -> Any:
        """What autograd may keep: it does not change any more."""
        raise NotImplementedError

    def _part(self, found: Any, derive: Callable[[Any], Any]) -> Any:
        """A result that shows this memory; `derive` makes it from the whole."""
        raise NotImplementedError

    def _refuse(self, what: str) -> NoReturn:
        """Say that `what` cannot be done to the tensor."""
        raise NotImplementedError

    def _special(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """What a method gives that is no operation of torch; otherwise NotImplemented."""
        if name in _ON_MEMORY:
            return func(self._reading().detach(), *args, **kwargs)
        if name == "numpy":
            return _read_only(self._reading())
        if name in _WRITERS:
            func(self._writing(), *each(args, _shown), **kwargs)
            return self
        if name in _SHARING or name in _DESCRIBING:
            self._refuse(name)
        if name in ("__set__", "__delete__") and func.__self__.__name__ not in ("real", "imag"):
            self._refuse(func.__self__.__name__)
        return NotImplemented

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.__name__
        if args and isinstance(args[0], StateTensor):
            found = args[0]._special(name, func, args[1:], kwargs)
            if found is not NotImplemented:
                return found
        if torch.is_grad_enabled() and _wants_grad((args, kwargs)):
            writes = name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))
            change = _without_graph if writes and isinstance(args[0], StateTensor) else _kept
            args, kwargs = each((args, kwargs), change)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return operate(func, args, kwargs or {}, StateTensor)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("real", "imag"):
            self._refuse(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._refuse(name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        found = _read_only(self._reading())
        if dtype is not None and np.dtype(dtype) != found.dtype:
            if copy is False:
                raise ValueError(f"cannot make dtype {dtype} of this tensor without copying it")
            return found.astype(dtype)
        return found.copy() if copy else found

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return super().__array_wrap__(array)

    def __copy__(self) -> Any:
        return self.clone()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.clone()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.clone().__reduce_ex__(protocol)


def _operator(name: str) -> Callable[[Any, Any], Any]:
    """An operator that writes. Torch takes a refusal as the answer of an operand that does not
    know the operator, and would compute the value without writing: so the right is asked first."""
    inherited = getattr(torch.Tensor, name)

    @functools.wraps(inherited)
    def operator(self: Any, other: Any) -> Any:
        self._writing()
        return inherited(self, other)

    return operator


for _name in _OPERATORS:
    setattr(StateTensor, _name, _operator(_name))

_BEHIND: Any = vars(StateTensor)["_behind"]
del StateTensor._behind  # so that no attribute leads to the memory


def wrapped(cls: type, shown: Any, behind: Any) -> Any:
    """A tensor of `cls` without memory that has the form of `shown`, and `behind` behind it."""
    with torch.inference_mode(False):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            shown.size(),
            strides=shown.stride(),
            storage_offset=shown.storage_offset(),
            dtype=shown.dtype,
            device=shown.device,
        )
    torch._C._set_throw_on_mutable_data_ptr(made)
    _BEHIND.__set__(made, behind)
    return made


def behind(tensor: StateTensor) -> Any:
    """What `wrapped` was given."""
    return _BEHIND.__get__(tensor)


class FrozenTensor(StateTensor):
    """A tensor of the state: neither its items nor its form can be changed.

    Parts and views of it are frozen as well; `clone()` and computations give ordinary tensors.
    """

    def _reading(self) -> Any:
        return behind(self)

    def _writing(self) -> Any:
        self._refuse("write")

    def _lasting(self) -> Any:
        return self

    def _part(self, found: Any, derive: Callable[[Any], Any]) -> Any:
        return wrapped(FrozenTensor, found, found)

    def _refuse(self, what: str) -> NoReturn:
        raise ImmutableError(
            "Immutable: this tensor shows committed state and cannot be changed. Change a copy: "
            "`tensor.clone()`."
        )


class _Memory:
    """Lets numpy see the memory of a tensor, read-only, and keeps it alive."""

    __slots__ = ("_tensor",)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        seen = dict(_KEPT.__get__(self).numpy().__array_interface__)
        return {**seen, "data": (seen["data"][0], True)}


_KEPT: Any = vars(_Memory)["_tensor"]
del _Memory._tensor  # type: ignore[attr-defined]


def _read_only(tensor: Any) -> Any:
    memory = _Memory()
    _KEPT.__set__(memory, tensor.detach())
    return np.asarray(memory)


def _shown(tensor: Any) -> Any:
    return tensor._reading() if isinstance(tensor, StateTensor) else tensor


def _kept(tensor: Any) -> Any:
    return tensor._lasting() if isinstance(tensor, StateTensor) else tensor


def _without_graph(tensor: Any) -> Any:
    """The state keeps no graph: what is written to it is cut off from its own."""
    return tensor if isinstance(tensor, StateTensor) else tensor.detach()


def _wants_grad(arguments: Any) -> bool:
    found: list[Any] = []
    each(arguments, found.append)
    return any(not isinstance(one, StateTensor) and one.requires_grad for one in found)


def frozen(value: Any) -> Any:
    """A tensor as the state holds it: a copy, or what is held already."""
    if type(value) is FrozenTensor:
        memory = value._reading()
        if memory.untyped_storage().nbytes() == memory.nbytes:
            return value
        value = memory
    reason = _reason(value)
    if reason is not None:
        raise UnsupportedValueError(f"cannot store a tensor {reason}", type_name="torch.Tensor")
    copied = _copy(value)
    return wrapped(FrozenTensor, copied, copied)


def own_copy(value: Any) -> Any:
    """A writable copy with the layout of the tensor."""
    return _copy(value).as_subclass(OwnTensor)


def _copy(value: Any) -> Any:
    with torch.inference_mode(False):
        return value.detach().resolve_conj().resolve_neg().clone()


def make_ready() -> None:
    """Have torch load what the first operation on such a tensor needs: a PURE process may not."""
    frozen(torch.zeros(1, device="cpu")).sum()


def _reason(value: Any) -> str | None:
    """Why the state cannot hold a tensor; None where it can."""
    if value.is_nested:
        return "that is nested: its parts have no common shape. Store a list of tensors."
    if value.is_quantized:
        return (
            "that is quantized: its numbers need a scale to be read. Store `dequantize()`, or "
            "`int_repr()` with the scale and the zero point beside it."
        )
    if value.layout is not torch.strided:
        return f"of layout {value.layout}: the state holds dense ones. Store `to_dense()`."
    if value.device.type != "cpu":
        return f"on device {value.device}: the state holds memory of the CPU. Store `cpu()` of it."
    if value.requires_grad:
        return (
            "that requires grad: the state holds numbers, not the graph they come from. Store "
            "`detach()`."
        )
    if any(getattr(value, "names", ())):  # gone in torch 2.13
        return "with named dimensions: they would be lost. Store `rename(None)`."
    if not _has_memory(value):
        return (
            "that has no memory, as inside of a transformation or a trace. Return it from there "
            "and store it then."
        )
    return None


def _has_memory(value: Any) -> bool:
    try:
        address = value.data_ptr()
    except RuntimeError:
        return False
    return bool(address) or not value.numel()
