"""Data types as text: what a passport says about the elements of an array.

A plain type is its numpy spelling (``"float32"``, ``">i4"``, ``"<M8[ns]"``, ``"<U3"``), a
structured one a JSON text with names, formats, offsets and item size, so that padding,
alignment, overlapping fields and nesting come back exactly. Nothing is ever evaluated.
Types whose elements are references (``object``, ``StringDType``) cannot lie in shared memory
and are refused by name, also inside structured types.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["as_dtype", "decode_dtype", "encode_dtype"]

_NAMED = frozenset("biufc")
_SPELLED = frozenset("mMSUV")
_STRUCT_KEYS = frozenset({"names", "formats", "offsets", "itemsize", "titles", "aligned"})
_MAX_DEPTH = 32


def _refuse(dtype: np.dtype[Any], why: str) -> TypeError:
    return TypeError(
        f"dtype {dtype!r} cannot be put into shared memory: {why}. Use a type with a fixed "
        "number of bytes and no references (numbers, bool, datetime64, 'S8', 'U8', structured)."
    )


def as_dtype(given: DTypeLike) -> np.dtype[Any]:
    """Return `given` as a dtype that may lie in shared memory.

    Raises
    ------
    TypeError
        Not a dtype, or one with references, without a length, or unknown to numpy's spelling.
    """
    dtype = np.dtype(given)
    encode_dtype(dtype)
    return dtype


@lru_cache(maxsize=512)
def encode_dtype(dtype: np.dtype[Any]) -> str:
    """Return the text of a dtype. Raises `TypeError` like :func:`as_dtype`. O(fields)."""
    form = _encode(dtype)
    return form if isinstance(form, str) else json.dumps(form, separators=(",", ":"))


def _encode(dtype: np.dtype[Any]) -> str | dict[str, Any]:
    if dtype.hasobject:
        raise _refuse(dtype, "its elements are references to Python objects")
    if dtype.itemsize == 0:
        raise _refuse(dtype, "its elements have no bytes; give it a length")
    if dtype.names is not None:
        return _encode_struct(dtype)
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": _encode(base), "shape": list(shape)}
    form = dtype.name if dtype.kind in _NAMED and dtype.isnative else dtype.str
    if dtype.kind not in _NAMED | _SPELLED or not _means(form, dtype):
        raise _refuse(dtype, "numpy has no spelling for it")
    return form


def _means(form: str, dtype: np.dtype[Any]) -> bool:
    try:
        return np.dtype(form) == dtype
    except TypeError:
        return False


def _encode_struct(dtype: np.dtype[Any]) -> dict[str, Any]:
    names = dtype.names or ()
    fields: Any = dtype.fields or {}
    titles = [fields[name][2] if len(fields[name]) > 2 else None for name in names]
    form: dict[str, Any] = {
        "names": list(names),
        "formats": [_encode(fields[name][0]) for name in names],
        "offsets": [fields[name][1] for name in names],
        "itemsize": dtype.itemsize,
    }
    if any(title is not None for title in titles):
        if not all(title is None or isinstance(title, str) for title in titles):
            raise _refuse(dtype, "the titles of its fields are no texts")
        form["titles"] = titles
    if dtype.isalignedstruct:
        form["aligned"] = True
    return form


@lru_cache(maxsize=512)
def decode_dtype(text: str) -> np.dtype[Any]:
    """Return the dtype of a text made by :func:`encode_dtype`, or of any plain numpy spelling.

    Raises
    ------
    TypeError, ValueError
        The text is no dtype, or one that cannot lie in shared memory.
    """
    if not isinstance(text, str):
        raise TypeError(f"a dtype in a descriptor is a text, not {type(text).__name__}")
    form: Any = text
    if text.startswith("{"):
        try:
            form = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"dtype text {text[:80]!r} is damaged") from None
    dtype = _decode(form, 0)
    encode_dtype(dtype)
    return dtype


def _decode(form: Any, depth: int) -> np.dtype[Any]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"dtype nested deeper than {_MAX_DEPTH} levels")
    if isinstance(form, str):
        try:
            return np.dtype(form)
        except (TypeError, ValueError, SyntaxError):
            raise TypeError(f"{form[:80]!r} is no dtype") from None
    if not isinstance(form, dict):
        raise ValueError(f"dtype part {form!r:.80} is neither a text nor a structure")
    if form.keys() == {"base", "shape"}:
        return np.dtype((_decode(form["base"], depth + 1), _lengths(form["shape"])))
    if not form.keys() >= {"names", "formats", "offsets", "itemsize"} or form.keys() - _STRUCT_KEYS:
        raise ValueError(f"dtype structure with fields {sorted(form)} is not one of ours")
    spec: Any = {key: form[key] for key in ("names", "offsets", "itemsize")}
    spec["formats"] = [_decode(part, depth + 1) for part in form["formats"]]
    if "titles" in form:
        spec["titles"] = form["titles"]
    made: np.dtype[Any] = np.dtype(spec, align=form.get("aligned") is True)
    return made


def _lengths(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"shape {shape!r:.80} of a sub-array dtype is not a list of lengths")
    return tuple(shape)
