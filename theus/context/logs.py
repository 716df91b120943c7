"""Loggers that say which process wrote."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

__all__ = ["ContextLoggerAdapter"]


class ContextLoggerAdapter(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry the process, as ``record.theus_process``: `ctx.log` is one.

    What a call gives as ``extra`` is kept beside it. Thread-safe, as loggers are.

    Parameters
    ----------
    logger:
        Where the records go.
    process:
        Name of the process, or a mapping of attributes for the records.
    """

    def __init__(self, logger: logging.Logger, process: str | Mapping[str, object]) -> None:
        attributes = {"theus_process": process} if isinstance(process, str) else dict(process)
        super().__init__(logger, attributes)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """The message as it is, with the attributes in ``extra``."""
        return msg, {**kwargs, "extra": {**(self.extra or {}), **(kwargs.get("extra") or {})}}
