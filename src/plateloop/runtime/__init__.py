"""From pixels to readings through ONNX Runtime; no torch."""
