"""Plain classes: everything an instance has is a field.

Refused are classes whose instances are more than their fields (storage of C code, a
resource released in ``__del__``), and those of the standard library and of Theus, which are
machinery (locks, queues, loggers, engines) even where they look like data.
"""

from __future__ import annotations

import pathlib
import sys
import sysconfig
import types

from theus._core.freeze import register_leaf, register_record
from theus.freezers._freezer import Freezer
from theus.freezers._instances import builder, is_plain_instance_class, reader

__all__ = ["FREEZER"]

# Values of these modules never change; they are shared as they are.
IMMUTABLE_MODULES = ("ipaddress",)
DATA_MODULES = ("argparse", "types")


def _resolve(cls: type) -> None:
    library = cls.__module__.partition(".")[0]
    if library in IMMUTABLE_MODULES:
        register_leaf(cls)
    elif issubclass(cls, types.SimpleNamespace):
        register_record(cls, reader(cls), builder(cls, types.SimpleNamespace.__new__))
    elif _is_data(library) and is_plain_instance_class(cls):
        register_record(cls, reader(cls), builder(cls))


def _is_data(library: str) -> bool:
    if library in DATA_MODULES:
        return True
    return library != "theus" and not _is_standard(library)


def _is_standard(library: str) -> bool:
    """Whether a top-level module is one of Python's own, not of the user under that name."""
    if library not in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(library), "__file__", None)
    return file is None or pathlib.Path(file).is_relative_to(sysconfig.get_path("stdlib"))


FREEZER = Freezer(_resolve)
