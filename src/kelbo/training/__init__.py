"""Training into a run directory."""
