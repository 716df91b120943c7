"""Configuration from YAML: audit recipes and context schemas.

Strict: an unknown key, a wrong type and a value out of range are refused with file, line and
column; all problems of a text are reported in one `SchemaViolationError`.
"""

from __future__ import annotations

from theus.audit.recipe import AuditRecipe, AuditRecipeBook
from theus.config.contexts import ConfigLoader, ContextSchema, FieldSchema
from theus.config.recipes import ConfigFactory
from theus.errors import SchemaViolationError

__all__ = [
    "AuditRecipe",
    "AuditRecipeBook",
    "ConfigFactory",
    "ConfigLoader",
    "ContextSchema",
    "FieldSchema",
    "SchemaViolationError",
]
