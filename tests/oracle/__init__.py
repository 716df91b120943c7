"""The second opinion: a slow, obvious model of the state and an engine built on it."""
