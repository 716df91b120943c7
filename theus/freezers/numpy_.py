"""numpy values in the DATA part of the state.

Scalars and dtypes never change and are shared. An array is held as a `FrozenArray`: a copy
over memory that nobody can make writable again. A process that may write to its place gets it
behind an `ArrayGuard`, without copying. Arrays of Python objects are refused, the
state could not see into them; so are masked arrays and structured scalars. Large arrays
belong into the heavy zone.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn, SupportsIndex

import numpy as np

from theus._core.freeze import register_copy, register_leaf
from theus._core.shown import register_shown
from theus.errors import ImmutableError, UnsupportedValueError
from theus.freezers._freezer import Freezer

__all__ = ["FREEZER", "FrozenArray", "OwnArray", "own_copy"]


class OwnArray(np.ndarray[Any, Any]):
    """A process's own copy of an array of the state, from its first write to the commit."""


class FrozenArray(np.ndarray[Any, Any]):
    """An array of the state: neither its items nor its shape can be changed.

    Slices of it are frozen as well; `copy()` and every computation give ordinary arrays.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not self.flags.writeable:
            self._refuse()
        super().__setattr__(name, value)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError(
            "Immutable: this array shows committed state and cannot be changed. Change a copy: "
            "`array.copy()`."
        )

    __setstate__ = _refuse
    resize = _refuse  # with the size unchanged numpy would reshape in place

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # `ufunc.at` of numpy 2.4 writes to read-only memory
        written = inputs[:1] if method == "at" else kwargs.get("out", ())
        if any(isinstance(one, FrozenArray) for one in written):
            self._refuse()
        given = [one.view(np.ndarray) if isinstance(one, FrozenArray) else one for one in inputs]
        return getattr(ufunc, method)(*given, **kwargs)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        made = np.asarray(array)
        return made if made.ndim else made[()]

    def copy(self, order: Any = "C") -> Any:
        """An ordinary, writable copy."""
        return np.array(self, order=order, subok=False)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return self.copy().__reduce_ex__(protocol)


def _array_guard(guard: Any, key: Any) -> Any:
    from theus.freezers._array_guard import ArrayGuard

    return ArrayGuard(guard, key)


def _resolve(cls: type) -> None:
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())
    if issubclass(cls, np.void) or issubclass(cls, masked):
        return
    if issubclass(cls, (np.generic, np.dtype)):
        register_leaf(cls)
    elif issubclass(cls, np.ndarray):
        register_copy(cls, _frozen)


def own_copy(value: Any) -> OwnArray:
    """A writable copy with the layout of the array."""
    return np.array(value, order="K", subok=False).view(OwnArray)


def _frozen(value: Any) -> Any:
    if value.dtype.hasobject:
        raise UnsupportedValueError(
            f"cannot store an array of dtype {value.dtype}: its items are Python objects that "
            f"could change unseen. Store a list, or an array of numbers or fixed-length text.",
            type_name="numpy.ndarray",
        )
    base: object = value.base
    if type(value) is FrozenArray and isinstance(base, bytes):
        return value
    order: Any = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    content = value.tobytes(order)
    return FrozenArray(value.shape, value.dtype, buffer=content, order=order)


FREEZER = Freezer(_resolve)
register_shown(_array_guard, FrozenArray, OwnArray)
