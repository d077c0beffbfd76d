"""Smaller networks: pruning and INT8."""
