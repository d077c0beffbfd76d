"""From videos to labelled data: what a run sees, written down for training, and where it was unsure."""
