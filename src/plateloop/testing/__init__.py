"""Module 4: tests of a deployment in production terms."""
