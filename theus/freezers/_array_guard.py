"""Arrays of the state inside a process: read without copying, written in a copy of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, SupportsIndex, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from theus._core.guard import LeafGuard
from theus.freezers.numpy_ import FrozenArray, OwnArray, own_copy

__all__ = ["ArrayGuard"]

_WRITERS = frozenset(
    ("byteswap", "fill", "itemset", "partition", "put", "resize", "setfield", "sort")
)
"""Methods that change an array in place."""

_FIRST_IS_WRITTEN = frozenset(
    (np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask)
)
"""Functions that change their first argument."""


class ArrayGuard(LeafGuard, NDArrayOperatorsMixin):
    """An array of the state inside a process: an array, transactional.

    Stands for what is at its place. Reading works on the committed memory, which is read-only,
    without copying it. The first write in place (items, slices and views of it, ``+=``, ``out=``,
    methods and functions that write) makes a copy of the process's own, which the commit takes
    over and a rollback forgets; it needs the right to write there, as every write does.

    ``isinstance(x, numpy.ndarray)`` holds; functions of numpy take it. `copy()` and computations
    give ordinary arrays, parts and reshaped views are guarded as well. Code that reaches for the
    memory of an array below Python gets a read-only one (``numpy.asarray(x)``).
    """

    _derived: tuple[ArrayGuard, Callable[[Any], Any]] | None = None

    # --- the two sides: what is there, and what may be written

    def _read(self) -> Any:
        """The array as it is now, which nobody can write to."""
        if self._derived is not None:
            above, derive = self._derived
            return derive(above._read())
        held = self._held(np.ndarray)
        if not isinstance(held, FrozenArray):
            held = held.view(np.ndarray)
            held.flags.writeable = False
        return held

    def _write(self) -> Any:
        """The process's own array, made at the first write."""
        if self._derived is not None:
            above, derive = self._derived
            return derive(above._write())
        held = self._held(np.ndarray)
        self._replace(own_copy(held) if isinstance(held, FrozenArray) else held)
        return self._held(np.ndarray).view(np.ndarray)

    def _part(self, found: Any, derive: Callable[[Any], Any]) -> Any:
        """A result as it is handed out: under a guard, if it shows the memory of this array."""
        if not isinstance(found, np.ndarray):
            return found
        if found.size and np.may_share_memory(found, self._read()):
            part = ArrayGuard.__new__(ArrayGuard)
            part._derived = (self, derive)
            return part
        return _ordinary(found)

    def _detach(self) -> Any:
        """The array as it may leave the transaction: committed memory, or a copy."""
        found = self._read()
        return found if isinstance(found, FrozenArray) else np.array(found, subok=False)

    # --- items

    def __getitem__(self, index: Any) -> Any:
        index = _bare(index)
        return self._part(self._read()[index], lambda array: array[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        index, value = _bare(index), _bare(value)
        self._write()[index] = value

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return value in self._read()

    # --- attributes and methods

    @property
    def __class__(self) -> Any:
        return np.ndarray

    @__class__.setter
    def __class__(self, value: Any) -> NoReturn:
        raise TypeError("the class of an array of the state cannot be changed")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__array_") and name not in ("__array_interface__", "__array_struct__"):
            raise AttributeError(f"no attribute {name!r}", name=name)
        if name in _WRITERS:
            return getattr(self._write(), name)
        found = getattr(self._read(), name)
        if not callable(found):
            return self._part(found, lambda array: getattr(array, name))

        def method(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = _bare(args), _outputs(kwargs)

            def derive(array: Any) -> Any:
                return getattr(array, name)(*args, **kwargs)

            return self._part(derive(self._read()), derive)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_derived":
            object.__setattr__(self, name, value)
        elif name in ("shape", "dtype", "strides"):
            raise AttributeError(
                f"assign an array of that {name} to its place instead of changing {name} in place"
            )
        else:
            setattr(self._write(), name, _bare(value))

    def copy(self, order: Any = "C") -> Any:
        """An ordinary, writable copy."""
        return np.array(self._read(), order=order, subok=False)

    def __dir__(self) -> list[str]:
        return dir(np.ndarray)

    # --- numpy's protocols

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        found = self._read().view(np.ndarray)
        found.flags.writeable = False
        if dtype is not None and np.dtype(dtype) != found.dtype:
            if copy is False:
                raise ValueError(f"cannot make dtype {dtype} of this array without copying it")
            return found.astype(dtype)
        return found.copy() if copy else found

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        given = [_bare(one) for one in inputs]
        if method == "at" and isinstance(inputs[0], LeafGuard):
            given[0] = cast("ArrayGuard", inputs[0])._write()
        outs = kwargs.get("out", ())
        result = getattr(ufunc, method)(*given, **_outputs(kwargs))
        return _answered(result, outs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        outs = kwargs.get("out")
        given = _bare(args)
        if func in _FIRST_IS_WRITTEN and isinstance(args[0], LeafGuard):
            given = (cast("ArrayGuard", args[0])._write(), *given[1:])
        result = func(*given, **_outputs(kwargs))
        return _answered(result, outs if isinstance(outs, tuple) else (outs,))

    # --- as a value

    def __bool__(self) -> bool:
        return bool(self._read())

    def __int__(self) -> int:
        return int(self._read())

    def __float__(self) -> float:
        return float(self._read())

    def __complex__(self) -> complex:
        return complex(self._read())

    def __index__(self) -> int:
        return cast("int", self._read().__index__())

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return self.copy().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return repr(_ordinary(self._read()))

    def __str__(self) -> str:
        return str(self._read())

    def __format__(self, spec: str) -> str:
        return format(self._read(), spec)

    __hash__ = None  # type: ignore[assignment]


def _ordinary(found: Any) -> Any:
    """An array without our class; one that owns its memory can be written to."""
    return np.asarray(found) if type(found) in (FrozenArray, OwnArray) else found


def _bare(value: Any) -> Any:
    """Guards of arrays as the arrays that they show, in arguments as numpy takes them."""
    if isinstance(value, LeafGuard) and type(value) is ArrayGuard:
        return value._read()
    if type(value) in (tuple, list):
        return type(value)(_bare(one) for one in value)
    if type(value) is dict:
        return {key: _bare(one) for key, one in value.items()}
    return value


def _outputs(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments, with the guards under ``out`` as arrays to write to."""
    found = {name: _bare(one) for name, one in kwargs.items() if name != "out"}
    if "out" in kwargs:
        out = kwargs["out"]
        found["out"] = tuple(map(_target, out)) if isinstance(out, tuple) else _target(out)
    return found


def _target(out: Any) -> Any:
    return out._write() if type(out) is ArrayGuard else out


def _answered(result: Any, outs: tuple[Any, ...]) -> Any:
    """A result; where it is what was written to, the guard that was given."""
    if len(outs) == 1 and outs[0] is not None and type(outs[0]) is ArrayGuard:
        return outs[0]
    if isinstance(result, tuple):
        return tuple(map(_ordinary, result))
    return _ordinary(result)
