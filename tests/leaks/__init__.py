"""Nothing stays behind."""
