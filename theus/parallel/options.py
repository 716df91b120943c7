"""Options of pools: what all of them say of a value that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable

from theus.errors import SettingsError

__all__ = ["check_positive", "texts", "wrong"]


def wrong(option: str, value: object, wanted: str) -> SettingsError:
    """The error of an option with another value than is wanted."""
    return SettingsError(f"`{option}` is {wanted}, not {value!r}", option=option, value=value)


def texts(option: str, values: Iterable[str]) -> tuple[str, ...]:
    """An option that is a list of texts; raises SettingsError for anything else."""
    items = () if isinstance(values, (str, bytes)) else tuple(values)
    if isinstance(values, (str, bytes)) or not all(isinstance(item, str) for item in items):
        raise wrong(option, values, "a list of texts")
    return items


def check_positive(**options: int | None) -> None:
    """Options that are whole numbers above 0, or None; raises SettingsError for others."""
    for option, value in options.items():
        if value is not None and (type(value) is not int or value < 1):
            raise wrong(option, value, "a positive whole number (or None)")
