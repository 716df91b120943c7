"""The shelf of pool backends: every module here is one, under its own name."""
