"""What speaks to one backend alone, and the choice of the backend."""
