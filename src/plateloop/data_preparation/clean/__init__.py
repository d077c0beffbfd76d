"""Clean a dataset: one file a family of checks, each a function from a record to what is wrong with it."""
