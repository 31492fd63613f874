"""Definitions of known nets (`definitions`) for weights without a graph (`weights`)."""
