"""Histories of transactions, and a checker that looks for anomalies in them."""
