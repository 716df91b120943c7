"""Registering processes one by one and by scanning folders."""

from __future__ import annotations

import pytest

from theus.contracts import process
from theus.engine import TheusEngine
from theus.errors import ContractViolationError, DiscoveryError, RegistrationError


@process(inputs=["domain.n"], outputs=["domain.n"])
def add_one(ctx):
    return ctx.domain.n + 1


@pytest.fixture
def engine():
    with TheusEngine({"domain": {"n": 1}}) as made:
        yield made


def test_register_and_run_by_name_and_by_function(engine):
    assert engine.register(add_one) is add_one
    assert engine.registry == {"add_one": add_one}
    assert engine.run("add_one") == 2
    assert engine.run(add_one) == 3


def test_the_registry_is_read_only(engine):
    with pytest.raises(TypeError):
        engine.registry["x"] = add_one


def test_a_decorated_function_registers_itself_on_first_use(engine):
    assert engine.run(add_one) == 2
    assert "add_one" in engine.registry


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(engine):
    engine.register(add_one)
    with pytest.raises(RegistrationError, match=r"no process 'add_two'.*Registered are: add_one"):
        engine.run("add_two")


def test_a_name_that_is_taken_is_refused(engine):
    engine.register(add_one)

    @process(inputs=["domain.n"])
    def other(ctx):
        return None

    other.__name__ = "add_one"
    clash = process(inputs=["domain.n"])(other)
    with pytest.raises(RegistrationError, match="registered already"):
        engine.register(clash)


def test_a_plain_function_is_refused(engine):
    with pytest.raises(RegistrationError, match="@process"):
        engine.register(len)


def test_a_pure_process_may_not_take_signals(engine):
    @process(inputs=["signal.stop"], outputs=["domain.n"], semantic="pure")
    def listens(ctx):
        return 1

    with pytest.raises(ContractViolationError, match="Pure process cannot take inputs from Zone"):
        engine.register(listens)


GOOD = """
from theus.contracts import process

@process(outputs=["domain.n"])
def {name}(ctx):
    return {value}
"""


def test_scan_registers_what_is_there(engine, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text(GOOD.format(name="first", value=1))
    (tmp_path / "inner" / "b.py").write_text(GOOD.format(name="second", value=2))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "c.py").write_text("1 / 0")
    assert engine.scan_and_register(tmp_path) == ["first", "second"]
    assert engine.run("second") == 2


def test_a_project_whose_path_contains_tests_is_scanned(engine, tmp_path):
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "a.py").write_text(GOOD.format(name="in_tests", value=1))
    assert engine.scan_and_register(folder) == ["in_tests"]


def test_broken_files_are_all_named_after_the_rest_was_registered(engine, tmp_path):
    (tmp_path / "a.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "b.py").write_text("def broken(:")
    (tmp_path / "c.py").write_text(GOOD.format(name="fine", value=1))
    (tmp_path / "d.py").write_text("raise SystemExit(3)")
    with pytest.raises(DiscoveryError) as caught:
        engine.scan_and_register(tmp_path)
    text = str(caught.value)
    assert all(name in text for name in ("a.py", "b.py", "d.py", "ModuleNotFoundError"))
    assert len(caught.value.failures) == 3
    assert caught.value.registered == ("fine",)
    assert engine.run("fine") == 1


def test_a_folder_that_is_not_there_is_an_error(engine, tmp_path):
    with pytest.raises(DiscoveryError, match="no such file or folder"):
        engine.scan_and_register(tmp_path / "nowhere")


def test_importing_a_process_does_not_register_it_twice(engine, tmp_path):
    (tmp_path / "base_part.py").write_text(GOOD.format(name="shared", value=1))
    (tmp_path / "user_part.py").write_text("from base_part import shared\n")
    assert engine.scan_and_register(tmp_path) == ["shared"]


def test_the_newest_registration_of_a_name_is_called():
    """A module that is imported again, or a closure that is made again, replaces the process."""

    def made(value):
        @process(inputs=[], outputs=["domain.a"], name="give")
        def give(ctx):
            return value

        return give

    with TheusEngine({"domain": {"a": 0}}) as engine:
        for value in (1, 2, 3):
            engine.register(made(value))
            engine.run("give")
            assert engine.state.domain.a == value
