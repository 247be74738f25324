"""What speaks to PyTorch."""
