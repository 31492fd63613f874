"""Verify, repair and move a gallery in a folder, and change its model."""
