"""Audit: what failed, how often, and when that is too often.

An `AuditSystem` counts failures per key, keeps a bounded log of what happened, and says by an
`AuditRecipe` when to warn or to raise. An `AuditValidator` checks rules on the inputs and
outputs of processes and reports to a system. Nothing here is shared between engines.
"""

from __future__ import annotations

from theus.audit.gate import AuditCheck, AuditValidator
from theus.audit.levels import AuditLevel
from theus.audit.log import AuditLogEntry
from theus.audit.operators import Check
from theus.audit.recipe import AuditRecipe, AuditRecipeBook, AuditRule, ProcessRules
from theus.audit.system import AuditSystem
from theus.errors import (
    AuditAbortError,
    AuditBlockError,
    AuditError,
    AuditStopError,
    AuditWarning,
)

__all__ = [
    "AuditAbortError",
    "AuditBlockError",
    "AuditCheck",
    "AuditError",
    "AuditLevel",
    "AuditLogEntry",
    "AuditRecipe",
    "AuditRecipeBook",
    "AuditRule",
    "AuditStopError",
    "AuditSystem",
    "AuditValidator",
    "AuditWarning",
    "Check",
    "ProcessRules",
]
