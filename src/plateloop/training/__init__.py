"""Module 2: training, evaluation and export of the networks."""
