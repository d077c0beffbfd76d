"""tcnet and lpdnet: pictures, layouts, training and evaluation."""
