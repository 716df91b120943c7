"""ShmArray: numpy arrays in shared memory that travel between processes as a passport.

Pickling such an array, or any view of it, sends where its bytes lie (about 150 bytes), not
the bytes. What decides is the address: only an array whose elements lie inside the mapping
travels so. Whatever was computed from it is ordinary data and is pickled as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from theus.errors import HeavyReadOnlyError
from theus.heavy import window as windows
from theus.heavy.blocks import attach_block
from theus.heavy.carrying import carry
from theus.heavy.descriptor import BufferDescriptor, c_strides, extent, layout
from theus.heavy.dtypes import decode_dtype, encode_dtype
from theus.heavy.names import parse_name
from theus.heavy.segment import SafeSharedMemory, Segment, SharedMemory, live_buffer
from theus.heavy.window import Pinned, Window, window_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, DTypeLike

__all__ = ["ShmArray", "array_over", "attach_array", "rebuild_shm_array"]

_NUMPY_1 = np.lib.NumpyVersion(np.__version__) < "2.0.0"  # does not say when to return a scalar


class ShmArray(np.ndarray[Any, Any]):
    """A numpy array whose elements lie in a shared segment.

    Made by the allocator, by unpickling a passport, or around existing memory::

        array = ShmArray(np.ndarray((4,), "f8", buffer=shm.buf), shm=shm)

    Parameters
    ----------
    input_array:
        The array to wrap (no copy).
    shm:
        The `SharedMemory` its elements lie in. The result has a mapping of its own, so closing
        `shm` takes nothing away from it.

    Slices, transposes, fields and other views are `ShmArray` and travel as passports too. A
    copy or the result of a computation is a plain `numpy.ndarray`. Borrowers get read-only
    memory: writing raises :class:`~theus.errors.HeavyReadOnlyError` (a `ValueError`).

    As thread-safe as a numpy array: reading from many threads is fine.
    """

    def __new__(cls, input_array: ArrayLike, shm: SharedMemory | None = None) -> ShmArray:
        source = np.asanyarray(input_array)
        if shm is None:
            return source.view(cls)
        window = _window_on(shm)
        start = np.frombuffer(live_buffer(shm), dtype=np.uint8).__array_interface__["data"][0]
        offset = source.__array_interface__["data"][0] - start
        low, high = extent(source.shape, source.strides, source.itemsize)
        if offset + low < 0 or offset + high > shm.size:
            return source.view(cls)
        made = array_over(window.bytes(), source.shape, source.dtype, offset, source.strides, cls)
        made.flags.writeable = source.flags.writeable
        return made

    def __array_wrap__(
        self,
        array: np.ndarray[Any, Any],
        context: Any = None,
        return_scalar: bool = False,
    ) -> Any:
        if array is self:
            return self
        if array.shape == () and (return_scalar or _NUMPY_1):
            return array[()]
        return np.asarray(array)

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self.flags.writeable:
            raise _readonly(self)
        super().__setitem__(index, value)

    @property
    def shm(self) -> SharedMemory | None:
        """The segment the elements lie in; None for ordinary data."""
        place = _place(self)
        return None if place is None else place[0].handle

    def descriptor(self) -> BufferDescriptor | None:
        """Return the passport of this array; None for ordinary data (also an empty view)."""
        place = _place(self)
        if place is None:
            return None
        window, offset = place
        return BufferDescriptor(
            window.segment.name,
            window.segment.size,
            self.shape,
            encode_dtype(self.dtype),
            window.origin + offset,
            self.strides,
            window.generation,
            not self.flags.writeable,
            window.key,
            window.origin if window.part else None,
        )

    def copy(self, order: Literal["K", "A", "C", "F"] | None = "C") -> np.ndarray[Any, Any]:  # type: ignore[override]
        """Return a plain, private, writable copy."""
        return np.array(self, order=order, copy=True, subok=False)

    def __copy__(self) -> np.ndarray[Any, Any]:  # type: ignore[override]
        return self.copy("K")

    def __deepcopy__(self, memo: dict[int, Any] | None, /) -> np.ndarray[Any, Any]:  # type: ignore[override]
        return self.copy("K")

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        place = _place(self)
        if place is None:
            return _reduce_data(self, protocol)
        window, offset = place
        if window.part:
            if not carry(self):
                return _reduce_data(self, protocol)
            block = (window.segment.name, window.origin, window.generation, window.key)
            layout_ = (self.shape, encode_dtype(self.dtype), offset)
            return _rebuild_part, (block, *layout_, _strides(self), type(self))
        name = window.segment.name
        carry(self)
        passport = (
            name,
            self.shape,
            encode_dtype(self.dtype),
            offset,
            _strides(self),
            not self.flags.writeable,
            "" if parse_name(name) else window.key,
        )
        return rebuild_shm_array, passport if type(self) is ShmArray else (*passport, type(self))


def _strides(array: ShmArray) -> tuple[int, ...] | None:
    return None if array.flags.c_contiguous else array.strides


def _place(array: ShmArray) -> tuple[Window, int] | None:
    """The window all elements lie in, and where element zero is; None for ordinary data."""
    if array.size == 0 or array.dtype.hasobject:
        return None
    window = window_of(array)
    if window is None:
        return None
    offset = array.__array_interface__["data"][0] - window.address
    low, high = extent(array.shape, array.strides, array.itemsize)
    if offset + low < 0 or offset + high > window.size:
        return None
    return window, offset


def _readonly(array: ShmArray) -> HeavyReadOnlyError:
    window = window_of(array)
    key, name = (None, None) if window is None else (window.key, window.segment.name)
    return HeavyReadOnlyError(
        f"heavy array {key or name or '(unnamed)'!r} is read-only here; nothing was written. "
        "Compute into a copy (`array.copy()`) and return it, or put it under a key of its own; "
        "only the process that allocated an array writes into it.",
        key=key,
        segment=name,
    )


def _window_on(shm: SharedMemory) -> Window:
    """Return a window of ours on the memory of any SharedMemory."""
    if isinstance(shm, (Segment, SafeSharedMemory)):
        own = windows.held(shm.name)
        if own is not None and own.segment is shm:
            return own
        window = Window(shm)
        return window if shm.readonly else windows.hold(window)
    own = windows.held(shm.name)
    if own is not None and own.handle is shm:
        return own
    return windows.hold(Window(SafeSharedMemory.over(shm), handle=shm))


def array_over(
    pinned: Pinned,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    offset: int,
    strides: Sequence[int] | None,
    cls: type[ShmArray] = ShmArray,
) -> ShmArray:
    """Return an array over pinned memory.

    Raises `ValueError` when it would not lie inside the segment.
    """
    steps = c_strides(shape, dtype.itemsize) if strides is None else strides
    low, high = extent(shape, steps, dtype.itemsize)
    window = pinned.window
    if offset + low < 0 or offset + high > window.size:
        raise ValueError(
            f"array of shape {tuple(shape)} at offset {offset} does not lie inside the "
            f"{window.size} bytes of {window.key or window.segment.name!r}"
        )
    return np.ndarray.__new__(cls, shape, dtype, buffer=pinned, offset=offset, strides=steps)


def _empty(shape: Sequence[int], dtype: np.dtype[Any], cls: type[ShmArray]) -> ShmArray:
    return np.empty(shape, dtype).view(cls)


def rebuild_shm_array(
    name: str,
    shape: Sequence[int],
    dtype: DTypeLike,
    offset: int = 0,
    strides: Sequence[int] | None = None,
    readonly: bool = True,
    key: str = "",
    cls: type[ShmArray] = ShmArray,
) -> ShmArray:
    """Return the array a passport stands for, over the shared bytes, without a copy.

    In the process that made the segment the same memory comes back, writable unless
    `readonly`; every other process gets memory that cannot be written.

    Raises
    ------
    HeavyGoneError
        The segment does not exist any more.
    HeavyZoneError
        The segment belongs to another user or is too small.
    TypeError, ValueError
        The passport is damaged.
    """
    if not (isinstance(cls, type) and issubclass(cls, ShmArray)):
        raise TypeError(f"a passport makes a ShmArray, not {cls!r}")
    kind = decode_dtype(dtype) if isinstance(dtype, str) else dtype
    checked, kind, nbytes = layout(tuple(shape) if isinstance(shape, list) else shape, kind)
    if nbytes == 0:
        return _empty(checked, kind, cls)
    pinned = windows.attach(name, 1, readonly=True, key=key)
    made = array_over(pinned, checked, kind, offset, strides, cls)
    if readonly and made.flags.writeable:
        made.flags.writeable = False
    return made


def attach_array(descriptor: BufferDescriptor, *, readonly: bool = True) -> ShmArray:
    """Return the array of a descriptor, over the shared bytes, without a copy.

    Parameters
    ----------
    readonly:
        False maps the memory writable, also in a process that does not own it. Writes are
        seen by everybody at once and take part in no transaction.

    Raises
    ------
    HeavyGoneError, HeavyZoneError
        As :func:`rebuild_shm_array`.
    """
    kind = descriptor.numpy_dtype
    if descriptor.nbytes == 0:
        made = _empty(descriptor.shape, kind, ShmArray)
    else:
        pinned = _attach_descriptor(descriptor, readonly)
        offset = descriptor.offset - pinned.window.origin
        made = array_over(pinned, descriptor.shape, kind, offset, descriptor.strides)
    if readonly and made.flags.writeable:
        made.flags.writeable = False
    return made


def _attach_descriptor(descriptor: BufferDescriptor, readonly: bool) -> Pinned:
    name, key, block = descriptor.name, descriptor.key, descriptor.block
    if block is None:
        return windows.attach(name, descriptor.size, readonly=readonly, key=key)
    if not readonly:
        raise ValueError(
            f"heavy array {key!r} is a version of the state; nobody may write into it. Take a "
            "lease: `ctx.heavy.writable(key)`"
        )
    return attach_block(name, block, descriptor.generation, key=key)


def _rebuild_part(
    block: tuple[str, int, int, str],
    shape: tuple[int, ...],
    dtype: str,
    offset: int,
    strides: tuple[int, ...] | None,
    cls: type[ShmArray],
) -> ShmArray:
    """The array over a block of an arena, read-only; raises as `attach_block`."""
    if not (isinstance(cls, type) and issubclass(cls, ShmArray)):
        raise TypeError(f"a passport makes a ShmArray, not {cls!r}")
    name, origin, generation, key = block
    pinned = attach_block(name, origin, generation, key=key)
    checked, kind, _ = layout(shape, decode_dtype(dtype))
    return array_over(pinned, checked, kind, offset, strides, cls)


def _reduce_data(array: ShmArray, protocol: Any) -> Any:
    """Pickle ordinary data: empty arrays as what they are, others as numpy does."""
    if array.size == 0:
        try:
            return _rebuild_empty, (type(array), array.shape, encode_dtype(array.dtype))
        except TypeError:  # a type that is not for segments; numpy knows what to do
            pass
    plain = np.asarray(array)
    if type(array) is ShmArray:
        return plain.__reduce_ex__(protocol)
    return _as_class, (type(array), plain)


def _rebuild_empty(cls: type[ShmArray], shape: tuple[int, ...], dtype: str) -> ShmArray:
    return _empty(shape, decode_dtype(dtype), cls)


def _as_class(cls: type[ShmArray], plain: np.ndarray[Any, Any]) -> ShmArray:
    return plain.view(cls)
