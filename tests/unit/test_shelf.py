"""A shelf finds what lies in its folder, once, and says what is wrong with the rest."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from theus._shelf import Shelf
from theus.errors import ShelfError, UnknownEntryError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package of two entries and one helper, importable for the length of a test."""
    package = tmp_path / "some_shelf"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_helper.py").write_text("ENTRY = 'not an entry'\n")
    (package / "plain.py").write_text("ENTRY = 'plain'\n")
    (package / "if_.py").write_text("ENTRY = 'condition'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "some_shelf"]:
        del sys.modules[name]


@pytest.fixture
def offered(monkeypatch):
    """Entry points as other distributions would offer them."""
    points = []
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda *, group: tuple(point for point in points if point.group == group),
    )
    return points


def shelf(**options):
    return Shelf("some_shelf", "ENTRY", **{"kind": str, **options})


def test_entries_are_the_modules_of_the_folder(folder):
    assert dict(shelf()) == {"if": "condition", "plain": "plain"}
    assert len(shelf()) == 2
    assert repr(shelf()) == "<Shelf some_shelf: if, plain>"


def test_names_are_known_before_anything_is_imported(folder):
    (folder / "broken.py").write_text("raise RuntimeError('imported too early')\n")
    found = shelf()
    assert list(found) == ["broken", "if", "plain"]
    assert "broken" in found
    assert found["plain"] == "plain"
    with pytest.raises(RuntimeError, match="imported too early"):
        _ = found["broken"]


def test_one_new_file_is_one_new_entry(folder):
    found = shelf()
    assert "dummy" not in found
    (folder / "dummy.py").write_text("ENTRY = 'dropped in'\n")
    found.refresh()
    assert found["dummy"] == "dropped in"


def test_an_entry_is_the_same_object_every_time(folder):
    found = shelf()
    assert found["plain"] is found["plain"]


def test_keys_may_be_made_otherwise(folder):
    assert list(shelf(key=str.upper)) == ["IF_", "PLAIN"]


def test_an_unknown_key_names_those_that_are_there(folder):
    found = shelf()
    with pytest.raises(UnknownEntryError, match="it has if, plain") as caught:
        _ = found["nope"]
    assert isinstance(caught.value, KeyError)
    assert caught.value.known == ("if", "plain")
    assert found.get("nope") is None


def test_two_entries_of_one_key_are_refused(folder):
    with pytest.raises(ShelfError, match=r"some_shelf\.if_ and some_shelf\.plain"):
        list(shelf(key=lambda stem: "same"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("OTHER = 1\n", "it has no `ENTRY`"), ("ENTRY = 1\n", "it is int, not str")],
)
def test_a_module_without_a_valid_entry_is_refused(folder, text, message):
    (folder / "plain.py").write_text(text)
    with pytest.raises(ShelfError, match=message) as caught:
        _ = shelf()["plain"]
    assert caught.value.places == ("some_shelf.plain",)


def test_entry_points_are_appended(folder, offered):
    offered += [EntryPoint("far", "some_shelf._helper:ENTRY", "some.group")] * 2
    offered += [EntryPoint("other", "nowhere:ENTRY", "other.group")]
    found = shelf(group="some.group")
    assert list(found) == ["if", "plain", "far"]
    assert found["far"] == "not an entry"


def test_an_entry_point_may_not_replace_a_module(folder, offered):
    offered.append(EntryPoint("plain", "some_shelf._helper:ENTRY", "some.group"))
    with pytest.raises(ShelfError, match=r"some_shelf\.plain and some_shelf\._helper:ENTRY"):
        list(shelf(group="some.group"))
