"""How much memory workers take, seen from their parent."""

from __future__ import annotations

import os
from typing import final

__all__ = ["Resident"]

try:
    _PAGE = os.sysconf("SC_PAGE_SIZE")
except (AttributeError, ValueError):
    _PAGE = 4096


@final
class Resident:
    """The resident size of a process: what it was when somebody last looked.

    Systems without ``/proc`` do not tell it; there it stays 0. Reading costs some microseconds.
    """

    __slots__ = ("_fd", "size")

    def __init__(self, pid: int) -> None:
        self.size = 0
        try:
            self._fd = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def look(self) -> int:
        """Read it; that of a process that has ended stays what it was."""
        if self._fd >= 0:
            try:
                fields = os.pread(self._fd, 256, 0).split()
            except OSError:  # it has ended
                return self.size
            if len(fields) > 1:
                self.size = int(fields[1]) * _PAGE or self.size
        return self.size

    def close(self) -> None:
        """Close what is open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
