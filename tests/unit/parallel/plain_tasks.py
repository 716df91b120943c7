"""A task in a module that imports nothing of the library."""

import sys


def loaded(*names):
    return [name in sys.modules for name in names]
