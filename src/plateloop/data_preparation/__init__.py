"""Module 1: everything between a pile of media and a training set."""
