"""Where things are: the source tree and the package under test."""

from __future__ import annotations

from pathlib import Path

import theus

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(theus.__file__).resolve().parent
CORE = PACKAGE / "_core"
