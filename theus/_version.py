"""The version, in one place; the build reads it from here."""

__version__ = "4.0.0.dev0"
