"""Nearest neighbours: the graph in memory and on the disk, exact search, and the tuning of both."""
