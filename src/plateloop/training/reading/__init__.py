"""lprnet: plates, their damage and lie, training and evaluation."""
