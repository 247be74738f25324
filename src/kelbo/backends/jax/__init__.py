"""What speaks to JAX."""
