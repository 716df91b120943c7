"""On-time analysis of the flights that left New York City in 2013, as a Theus workflow."""
