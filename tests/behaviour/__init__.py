"""Promises of the engine, one file each."""
