"""Where a pipeline's results go; each sink in its own thread behind a bounded queue."""
