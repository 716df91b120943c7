"""Read-only views: equal to the plain value, attribute access, no way to change it."""

from __future__ import annotations

import copy
import json
import operator
import pickle
from collections.abc import Mapping, Sequence

import pytest

from theus.errors import ContractViolationError, ImmutableError
from theus.parallel.scope import Scope
from theus.parallel.views import MappingView

PLAIN = {
    "user": {"name": "An", "tags": ["a", {"b": 1}]},
    "rows": [1, [2, 3]],
    "names": {"x", "y"},
    "nothing": None,
    3: "three",
}


@pytest.fixture
def view():
    return MappingView(copy.deepcopy(PLAIN), ("domain",))


def test_reading_by_item_and_attribute(view):
    assert view.user.name == view["user"]["name"] == "An"
    assert view.user.tags[1].b == 1
    assert view.rows[1][0] == 2
    assert view[3] == "three"
    assert view.get("missing", 5) == 5
    assert list(view) == list(PLAIN)
    assert len(view) == 5
    assert "user" in view
    assert "missing" not in view
    assert isinstance(view, Mapping)
    assert isinstance(view.rows, Sequence)
    assert view.nothing is None


def test_views_equal_the_plain_value(view):
    assert view == PLAIN
    assert view == PLAIN
    assert view.rows == [1, [2, 3]]
    assert view.user == MappingView(PLAIN["user"])
    assert view.rows != [1]
    assert dict(view.user)["tags"] == ["a", {"b": 1}]
    assert repr(view.rows) == "[1, [2, 3]]"
    assert "user" in dir(view)
    with pytest.raises(TypeError, match="unhashable"):
        hash(view)


def test_what_a_list_can_be_asked(view):
    rows = view.rows
    assert operator.add(rows, [4]) == [1, [2, 3], 4]
    assert operator.add([0], rows) == [0, 1, [2, 3]]
    assert rows + rows == 2 * rows == rows * 2
    assert rows[::-1] == [[2, 3], 1]
    assert rows.index([2, 3]) == 1
    assert rows.count(1) == 1
    assert [2, 3] in rows
    assert rows[1] in rows
    assert list(reversed(rows)) == [[2, 3], 1]
    assert [type(one).__name__ for one in rows] == ["int", "SequenceView"]
    assert [type(one).__name__ for one in rows[1:]] == ["SequenceView"]


def test_what_a_mapping_can_be_asked(view):
    assert view.user | {"more": 1} == {**PLAIN["user"], "more": 1}
    assert {"more": 1} | view.user == {"more": 1, **PLAIN["user"]}
    assert dict(view.user.items()) == PLAIN["user"]
    assert next(iter(view.user.values())) == "An"


CHANGES = {
    "set attribute": (lambda v: setattr(v.user, "name", 1), "domain.user.name"),
    "set item": (lambda v: v.user.__setitem__("name", 1), "domain.user.name"),
    "set odd item": (lambda v: v.user.__setitem__("a b", 1), "domain.user['a b']"),
    "delete attribute": (lambda v: delattr(v.user, "name"), "domain.user.name"),
    "delete item": (lambda v: v.user.__delitem__("name"), "domain.user.name"),
    "update": (lambda v: v.user.update(name=1), "domain.user"),
    "pop": (lambda v: v.user.pop("name"), "domain.user"),
    "popitem": (lambda v: v.user.popitem(), "domain.user"),
    "setdefault": (lambda v: v.user.setdefault("x", 1), "domain.user"),
    "clear": (lambda v: v.user.clear(), "domain.user"),
    "|=": (lambda v: v.user.__ior__({}), "domain.user"),
    "append": (lambda v: v.rows.append(1), "domain.rows"),
    "extend": (lambda v: v.rows.extend([1]), "domain.rows"),
    "insert": (lambda v: v.rows.insert(0, 1), "domain.rows"),
    "remove": (lambda v: v.rows.remove(1), "domain.rows"),
    "pop of list": (lambda v: v.rows[1].pop(), "domain.rows[1]"),
    "sort": (lambda v: v.rows.sort(), "domain.rows"),
    "reverse": (lambda v: v.rows.reverse(), "domain.rows"),
    "clear of list": (lambda v: v.rows.clear(), "domain.rows"),
    "+=": (lambda v: v.rows.__iadd__([1]), "domain.rows"),
    "*=": (lambda v: v.rows.__imul__(2), "domain.rows"),
    "set element": (lambda v: v.rows.__setitem__(0, 1), "domain.rows[0]"),
    "delete element": (lambda v: v.rows.__delitem__(0), "domain.rows[0]"),
    "deep": (lambda v: v.user.tags[1].__setitem__("b", 2), "domain.user.tags[1].b"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_can_be_changed(view, name):
    change, path = CHANGES[name]
    with pytest.raises(ImmutableError) as caught:
        change(view)
    assert caught.value.path == path
    assert isinstance(caught.value, (TypeError, AttributeError))
    assert "Return" in str(caught.value)
    assert view == PLAIN


def test_sets_come_out_frozen(view):
    assert view.names == {"x", "y"}
    assert isinstance(view.names, frozenset)


def test_copies_and_pickles_are_plain_and_free(view):
    for again in (
        copy.copy(view),
        copy.deepcopy(view),
        pickle.loads(pickle.dumps(view)),
    ):
        assert type(again) is dict
        assert again == PLAIN
    rows = copy.deepcopy(view.rows)
    rows[1].append(4)
    assert view.rows == [1, [2, 3]]
    assert json.loads(json.dumps(copy.copy(view.rows))) == [1, [2, 3]]


def test_what_is_missing_is_said(view):
    with pytest.raises(KeyError, match="missing"):
        view["missing"]
    with pytest.raises(AttributeError, match=r"domain\.user has no 'missing'"):
        view.user.missing
    with pytest.raises(AttributeError, match=r"domain\.rows.* no attribute 'missing'"):
        view.rows.missing
    with pytest.raises(IndexError):
        view.rows[5]


@pytest.fixture
def limited():
    scope = Scope("summing", ("domain.user.*.name", "domain.rows"))
    return MappingView({"user": {"a": {"name": "An"}}, "rows": []}, ("domain",), scope)


@pytest.mark.parametrize(
    "read",
    [
        lambda v: v.secret,
        lambda v: v["secret"],
        lambda v: "secret" in v,
        lambda v: v.get("secret"),
        lambda v: v.user.a.age,
        lambda v: v["user"]["a"]["age"],
    ],
)
def test_what_was_not_declared_is_refused_as_in_the_parent(limited, read):
    with pytest.raises(ContractViolationError, match=r"Illegal Read.*'summing' has no permission"):
        read(limited)


def test_what_was_declared_and_is_not_there_is_only_missing(limited):
    assert limited.user.a.name == "An"
    with pytest.raises(KeyError):
        limited.user["b"]
    with pytest.raises(AttributeError):
        limited.user.b
    assert "b" not in limited.user
    assert limited.user.get("b") is None
