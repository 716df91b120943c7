"""Flux: workflows written in YAML, run over processes and the state."""
