"""What speaks to TensorFlow."""
