"""BufferDescriptor: the passport of an array in shared memory."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from theus.heavy.dtypes import as_dtype, decode_dtype, encode_dtype
from theus.heavy.names import check_segment_name

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["BufferDescriptor", "c_strides", "extent", "layout"]

_MAX_DIMS = 64
_MAX_BYTES = 2**63 - 1


def _whole(value: Any, what: str, *, least: int | None = 0) -> int:
    if type(value) is int and 0 <= value <= _MAX_BYTES:
        return value
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{what} must be a whole number, not {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, not {value!r}") from None
    if (least is not None and number < least) or abs(number) > _MAX_BYTES:
        raise ValueError(f"{what} is out of range: {number}")
    return number


def _whole_tuple(values: Any, what: str, *, least: int | None = 0) -> tuple[int, ...]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise TypeError(f"{what} must be a sequence of whole numbers, not {values!r}")
    if len(values) > _MAX_DIMS:
        raise ValueError(f"{what} has {len(values)} dimensions, more than {_MAX_DIMS}")
    return tuple([_whole(value, what, least=least) for value in values])


def c_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Return the strides of a C-contiguous array of `shape`."""
    strides = []
    step = itemsize
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


def extent(shape: Sequence[int], strides: Sequence[int], itemsize: int) -> tuple[int, int]:
    """Return the first byte and the byte after the last one, relative to element zero.

    Exact (Python integers), right for negative and zero strides; (0, 0) for empty arrays.
    """
    if 0 in shape:
        return 0, 0
    low = high = 0
    for length, stride in zip(shape, strides, strict=True):
        reach = (length - 1) * stride
        if reach < 0:
            low += reach
        else:
            high += reach
    return low, high + itemsize


def layout(shape: Any, dtype: DTypeLike) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Check what `alloc` was asked for; return shape, dtype and number of bytes.

    A single length stands for a one-dimensional shape; a sub-array dtype adds its dimensions
    to the shape, as numpy does.

    Raises
    ------
    TypeError, ValueError
        A length that is no whole number, negative or too large; a dtype that cannot lie in
        shared memory.
    """
    kind = as_dtype(dtype)
    lengths = shape if isinstance(shape, Sequence) or not hasattr(shape, "__index__") else (shape,)
    checked = _whole_tuple(lengths, "shape")
    while kind.subdtype is not None:
        kind, inner = kind.subdtype
        checked += inner
    count = 1
    for length in checked:
        count *= length
    if count * kind.itemsize > _MAX_BYTES:
        raise ValueError(f"shape {checked} of {kind} has more bytes than any memory")
    return checked, kind, count * kind.itemsize


@dataclass(frozen=True, slots=True)
class BufferDescriptor:
    """Where an array lies and how its bytes are read. Immutable, hashable, picklable.

    Parameters
    ----------
    name:
        The segment.
    size:
        Bytes of the segment that are meant for arrays (0: an empty array without segment).
    shape, dtype:
        As in numpy; any spelling of a dtype is taken, `dtype` itself is kept as text.
    offset:
        First byte of element zero.
    strides:
        Bytes per step; None for C order.
    generation:
        How often the key was allocated, 0 when not known.
    readonly:
        What a borrower gets that was given no more than the descriptor.
    key:
        The key in the heavy zone, for messages.
    block:
        Where its block begins, in a segment that holds many (an arena); None in one of its own.

    Everything is checked, so that a descriptor that exists never leads outside its segment.

    Raises
    ------
    TypeError, ValueError
        A field has the wrong type, or the array would not lie inside `size` bytes.
    """

    name: str
    size: int
    shape: tuple[int, ...]
    dtype: str
    offset: int = 0
    strides: tuple[int, ...] | None = None
    generation: int = 0
    readonly: bool = True
    key: str = ""
    block: int | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "name", check_segment_name(self.name))
        put(self, "size", _whole(self.size, "size"))
        given = decode_dtype(self.dtype) if isinstance(self.dtype, str) else self.dtype
        shape, kind, _ = layout(self.shape, given)
        put(self, "shape", shape)
        put(self, "dtype", encode_dtype(kind))
        put(self, "offset", _whole(self.offset, "offset"))
        put(self, "generation", _whole(self.generation, "generation"))
        if not isinstance(self.readonly, bool) or not isinstance(self.key, str):
            raise TypeError("readonly is a bool and key a str")
        if self.block is not None:
            put(self, "block", _whole(self.block, "block"))
        put(self, "strides", self._checked_strides(kind))
        self._check_inside(kind)

    def _checked_strides(self, kind: np.dtype[Any]) -> tuple[int, ...] | None:
        if self.strides is None:
            return None
        strides = _whole_tuple(self.strides, "strides", least=None)
        if len(strides) != len(self.shape):
            raise ValueError(f"{len(strides)} strides for {len(self.shape)} dimensions")
        return None if strides == c_strides(self.shape, kind.itemsize) else strides

    def _check_inside(self, kind: np.dtype[Any]) -> None:
        strides = self.strides or c_strides(self.shape, kind.itemsize)
        low, high = extent(self.shape, strides, kind.itemsize)
        if self.offset + low < 0 or self.offset + high > self.size:
            raise ValueError(
                f"descriptor of {self.key or self.name!r}: bytes {self.offset + low} to "
                f"{self.offset + high} are not inside its segment of {self.size} bytes"
            )

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype as numpy has it."""
        return decode_dtype(self.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the array's elements."""
        count = self.numpy_dtype.itemsize
        for length in self.shape:
            count *= length
        return count

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that JSON knows."""
        return {
            "name": self.name,
            "size": self.size,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "offset": self.offset,
            "strides": None if self.strides is None else list(self.strides),
            "generation": self.generation,
            "readonly": self.readonly,
            "key": self.key,
            "block": self.block,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BufferDescriptor:
        """Return the descriptor of a mapping made by :meth:`to_dict`.

        Raises `TypeError` or `ValueError` for anything that is missing, unknown or wrong.
        """
        if not isinstance(data, Mapping):
            raise TypeError(f"a descriptor is a mapping, not {type(data).__name__}")
        known = {field.name for field in fields(cls)}
        unknown = sorted(str(name) for name in data if name not in known)
        missing = sorted({"name", "size", "shape", "dtype"} - data.keys())
        if unknown or missing:
            raise ValueError(f"not a descriptor: missing {missing}, unknown {unknown}")
        return cls(**dict(data))
