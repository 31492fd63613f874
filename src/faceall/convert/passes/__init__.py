"""Passes `Net -> Net`: fold and rename (`simplify`), rounding of pools (`pools`), the head, projections."""
