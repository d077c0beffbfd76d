"""The networks as torch modules, and what is needed to train them."""
