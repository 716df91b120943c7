"""Every Python block of the documents runs and prints what stands below it."""

from __future__ import annotations

import re

import pytest

from tests.support.documents import (
    blocks,
    documents,
    expected_output,
    local_links,
    program,
)
from tests.support.isolated import run_isolated
from tests.support.paths import ROOT

LANGUAGES = {"python", "output", "sh", "text", "toml", "yaml", "json", "markdown", "cython"}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MAKE = re.compile(r"\bmake ((?:[a-z-]+\b(?![=.]) ?)+)")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [one for one in documents() if program(one)], ids=name_of)
def test_the_code_of_a_document_runs_and_prints_what_it_says(path):
    assert run_isolated(program(path)).stdout == expected_output(path)


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_no_block_hides_from_the_check_above(path):
    assert {block.language for block in blocks(path)} <= LANGUAGES


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_links_lead_somewhere(path):
    assert [written for written, target in local_links(path) if not target.exists()] == []


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_every_make_target_named_exists(path):
    shell = [block.text for block in blocks(path) if block.language == "sh"]
    inline = re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8"))
    named = {
        target
        for text in [*shell, *inline]
        for line in text.splitlines()
        for group in MAKE.findall(line.partition("#")[0])
        for target in group.split()
    }
    assert named <= TARGETS


def test_the_readme_begins_with_what_it_is_and_the_two_commands():
    screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40])
    assert "make demo" in screen
    assert "make test" in screen
