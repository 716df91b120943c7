"""Schema of the state: what must hold for the result of every commit."""

from __future__ import annotations

from theus.schema.validator import SchemaValidator

__all__ = ["SchemaValidator"]
