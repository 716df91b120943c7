"""The goals of speed, memory and fairness, measured: `python -m benchmarks.run`."""
