"""Door: the audit rules of processes."""

from __future__ import annotations

from theus.audit.gate import AuditValidator

__all__ = ["AuditValidator"]
