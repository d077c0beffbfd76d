"""Synthetic plates: rendered, degraded, pasted, with the place of every character."""
