"""Verify, back up, compact and salvage an index."""
