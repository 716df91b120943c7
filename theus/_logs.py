"""Loggers: everything that Theus logs goes to `theus` and the names below it.

A `NullHandler` on `theus` keeps a program that has configured no logging silent. Handlers, levels
and formats are the program's own business.
"""

from __future__ import annotations

import logging

__all__ = ["logger"]

_ROOT = "theus"

logging.getLogger(_ROOT).addHandler(logging.NullHandler())


def logger(room: str) -> logging.Logger:
    """The logger `theus.<room>`."""
    return logging.getLogger(f"{_ROOT}.{room}")
