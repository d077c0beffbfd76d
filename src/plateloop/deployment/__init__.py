"""Module 3: streams, tracking, fusion and everything that leaves the process."""
