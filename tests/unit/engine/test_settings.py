"""Options: arguments first, then the environment, then the defaults."""

from __future__ import annotations

import pytest

from theus.engine.settings import Settings
from theus.errors import SettingsError


def test_defaults():
    settings = Settings.read({})
    assert settings == Settings()
    assert (settings.strict_mode, settings.isolation, settings.max_loops) == (
        True,
        "serializable",
        10_000,
    )


@pytest.mark.parametrize(
    ("variable", "text", "option", "value"),
    [
        ("THEUS_POOL_SIZE", "3", "pool_size", 3),
        ("THEUS_USE_PROCESSES", "1", "use_processes", True),
        ("THEUS_USE_PROCESSES", "off", "use_processes", False),
        ("THEUS_MAX_LOOPS", "7", "max_loops", 7),
        ("THEUS_FLUX_DEBUG", "true", "flux_debug", True),
        ("THEUS_HEAP_SIZE", "64", "heap_mb", 64),
        ("THEUS_REGISTRY", "somewhere", "registry_dir", "somewhere"),
    ],
)
def test_variables(variable, text, option, value):
    assert getattr(Settings.read({variable: text}), option) == value


def test_an_argument_wins_over_the_environment():
    assert Settings.read({"THEUS_POOL_SIZE": "3"}, pool_size=5).pool_size == 5


@pytest.mark.parametrize(
    ("variable", "text"),
    [("THEUS_POOL_SIZE", "many"), ("THEUS_MAX_LOOPS", "0"), ("THEUS_FLUX_DEBUG", "perhaps")],
)
def test_a_wrong_variable_is_named(variable, text):
    with pytest.raises(SettingsError, match=f"{variable}='{text}'") as caught:
        Settings.read({variable: text})
    assert caught.value.option == variable


@pytest.mark.parametrize(
    ("option", "value"),
    [("isolation", "chaos"), ("max_retries", 0), ("history", -1), ("write_timeout_ms", "soon")],
)
def test_a_wrong_option_is_named(option, value):
    with pytest.raises(SettingsError, match=option) as caught:
        Settings.read({}, **{option: value})
    assert caught.value.option == option


def test_an_unknown_option_is_refused():
    with pytest.raises(SettingsError, match="unknown option 'stric_mode'"):
        Settings.read({}, stric_mode=True)
