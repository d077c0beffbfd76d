"""A deployment under faults: what it told, what its store holds and what arrives, counted after each."""
