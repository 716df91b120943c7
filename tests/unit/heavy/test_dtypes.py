"""Data types as text: exact for every type that may lie in shared memory, the others refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from theus.heavy.dtypes import as_dtype, decode_dtype, encode_dtype

PADDED = np.dtype(
    {"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [3, 16], "itemsize": 40}
)
OVERLAPPING = np.dtype({"names": ["x", "y"], "formats": ["u4", "u2"], "offsets": [0, 2]})
REVERSED = np.dtype({"names": ["late", "early"], "formats": ["i2", "i2"], "offsets": [4, 0]})
NESTED = np.dtype([("p", [("x", "f4"), ("y", ">f4")]), ("grid", "u1", (2, 3))])
EXACT = [
    *("bool", "int8", "uint64", "float16", "float64", "complex64", "longdouble"),
    *(">i4", ">f8", ">c16", "<M8[ns]", "M8[25s]", ">m8[D]", "M8", "S7", "U3", ">U3", "V5"),
    PADDED,
    OVERLAPPING,
    REVERSED,
    NESTED,
    np.dtype("i1,f8", align=True),
    np.dtype([(("a title", "field"), "i4")]),
    np.dtype(("f4", (2, 2))),
    np.dtype([("ünï", "i4"), ("with space", "f4")]),
]


@pytest.mark.parametrize("given", EXACT, ids=str)
def test_a_type_comes_back_exactly(given):
    dtype = np.dtype(given)
    back = decode_dtype(encode_dtype(dtype))
    assert back == dtype
    assert back.itemsize == dtype.itemsize
    assert back.fields == dtype.fields
    assert back.isalignedstruct == dtype.isalignedstruct


@given(
    hnp.scalar_dtypes()
    | hnp.array_dtypes(min_size=1)
    | hnp.nested_dtypes().filter(lambda dtype: dtype.itemsize > 0)
)
def test_every_type_of_fixed_size_comes_back(dtype):
    if dtype.itemsize == 0 or _has_empty_part(dtype):
        with pytest.raises(TypeError, match="no bytes"):
            encode_dtype(dtype)
    else:
        assert decode_dtype(encode_dtype(dtype)) == dtype


def _has_empty_part(dtype):
    if dtype.names is not None:
        return any(_has_empty_part(dtype[name]) for name in dtype.names)
    base = dtype.base
    return dtype.itemsize == 0 or (base is not dtype and _has_empty_part(base))


def test_plain_types_read_like_numpy():
    assert encode_dtype(np.dtype("<f4")) == "float32"
    assert encode_dtype(np.dtype("?")) == "bool"
    assert encode_dtype(np.dtype(">i2")) == ">i2"
    assert isinstance(json.loads(encode_dtype(PADDED)), dict)


REFUSED = [
    np.dtype(object),
    np.dtype([("a", "i4"), ("o", object)]),
    np.dtype([("in", [("deep", object)])]),
    np.dtype((object, (3,))),
    np.dtype("S"),
    np.dtype("U"),
    np.dtype("V"),
    np.dtype([]),
    np.dtype([("empty", "S0")]),
]
if hasattr(np.dtypes, "StringDType"):
    REFUSED.append(np.dtypes.StringDType())


@pytest.mark.parametrize("dtype", REFUSED, ids=str)
def test_types_that_cannot_be_shared_are_refused_by_name(dtype):
    with pytest.raises(TypeError) as caught:
        as_dtype(dtype)
    names = {part.replace("dtype", "") for part in (repr(dtype), "object", "'O'", "empty")}
    assert any(name in str(caught.value) for name in names)
    assert ("references to Python objects" in str(caught.value)) == dtype.hasobject


@pytest.mark.parametrize(
    "text",
    [
        "O",
        "object",
        "no such type",
        "",
        "{",
        "{}",
        '{"names":["a"],"formats":["O"],"offsets":[0],"itemsize":8}',
        '{"names":["a"],"formats":["i4"],"offsets":[-4],"itemsize":4}',
        '{"names":["a"],"formats":["i8"],"offsets":[0],"itemsize":4}',
        '{"names":["a"],"formats":[7],"offsets":[0],"itemsize":4}',
        '{"names":["a"],"formats":["i4"],"offsets":[0],"itemsize":4,"extra":1}',
        '{"names":["a","a"],"formats":["i4","i4"],"offsets":[0,4],"itemsize":8}',
        '{"names":5,"formats":["i4"],"offsets":[0],"itemsize":4}',
        '{"names":["a"],"formats":3,"offsets":[0],"itemsize":4}',
        '{"base":"i4","shape":[-1]}',
        '{"base":"i4","shape":"3"}',
        '{"base":' * 100 + '"i4"' + ',"shape":[1]}' * 100,
        "{" * 100_000,
    ],
)
def test_damaged_texts_are_refused(text):
    with pytest.raises((TypeError, ValueError)):
        decode_dtype(text)


def test_titles_that_are_no_texts_are_refused():
    with pytest.raises(TypeError, match="titles"):
        encode_dtype(np.dtype([((3, "field"), "i4")]))


@pytest.mark.parametrize("wrong", [None, 3, b"i4", np.dtype("i4")])
def test_what_is_no_text_is_refused(wrong):
    with pytest.raises(TypeError, match="is a text"):
        decode_dtype(wrong)
