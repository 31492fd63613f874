"""Read the vectors of other programs."""
