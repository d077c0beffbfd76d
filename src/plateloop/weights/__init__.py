"""The trained networks as ONNX, each beside its model card."""
