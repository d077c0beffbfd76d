"""colornet: pictures, training and evaluation."""
