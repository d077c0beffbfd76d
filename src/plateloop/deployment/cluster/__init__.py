"""Streams over a Ray cluster: one pipeline a group of cores, one store, one summary."""
