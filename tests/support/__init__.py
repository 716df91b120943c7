"""What several tests need: fresh interpreters, source readers, leftover counters."""
