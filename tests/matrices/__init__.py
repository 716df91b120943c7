"""Tables whose every combination is tried: what is tried, and counts of what came out."""
