"""The compiled state core against the model."""
