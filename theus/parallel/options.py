"""Options of pools: what all of them say of a value that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable

from theus.errors import SettingsError

__all__ = ["texts", "wrong"]


def wrong(option: str, value: object, wanted: str) -> SettingsError:
    """The error of an option with another value than is wanted."""
    return SettingsError(f"`{option}` is {wanted}, not {value!r}", option=option, value=value)


def texts(option: str, values: Iterable[str]) -> tuple[str, ...]:
    """An option that is a list of texts; raises SettingsError for anything else."""
    items = () if isinstance(values, (str, bytes)) else tuple(values)
    if isinstance(values, (str, bytes)) or not all(isinstance(item, str) for item in items):
        raise wrong(option, values, "a list of texts")
    return items
