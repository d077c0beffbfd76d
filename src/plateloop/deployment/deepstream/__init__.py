"""A folder that NVIDIA DeepStream runs: configuration, networks and parsers of their outputs."""
