"""Everybody gets on: bounded attempts, leases, waiting."""
